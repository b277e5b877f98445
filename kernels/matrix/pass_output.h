#pragma once
// Where a convolution's sums go when the ops behind it are done on the way: bias, ReLU, dropout, a
// sum with a residual, ReLU. And where the gradient of a convolution's input goes when what made
// that input lets some of it pass (GradientMask). As if the ops ran one by one, to the bit: what is
// between two of them is rounded to T, as it would be in memory.

#include "core/element_types.h"
#include "core/gradient_marks.h"
#include "core/philox.h"
#include "core/simt/memory.h"
#include "kernels/matrix/digits.h"

namespace warptape::matrix {

// Elements of a row that a thread takes at once where all tensors allow it, else one.
inline constexpr int pass_pack = 4;

// Where results lie: alike in all tensors of a pass. Rows are pixels (image, y, x), columns
// channels of a group.
struct PassPlace {
  Radix rows;
  DigitStrides row_stride;
  int columns = 0;
  int groups = 1;
  int64_t group_stride = 0;  // columns, as groups lie side by side
  bool packs = false;

  WARPTAPE_HOST_DEVICE int64_t at(const Digits& row, int group, int column) const {
    return group * group_stride + row_stride.offset(row) + column;
  }
  WARPTAPE_HOST_DEVICE int64_t results() const { return rows.size() * columns * groups; }
  WARPTAPE_HOST_DEVICE bool has_row_sums() const { return false; }

  // From the tensors of the pass, nullptr where one is left out.
  template <class... T>
  void choose_packs(const T*... tensors) {
    const auto is_whole = [](int64_t n) { return n % pass_pack == 0; };
    packs = is_whole(columns) && is_whole(row_stride.outer) && is_whole(row_stride.middle) &&
            is_whole(row_stride.inner) &&
            (... && (reinterpret_cast<uintptr_t>(tensors) % (pass_pack * sizeof(T)) == 0));
  }
};

template <class T>
struct PassOutput : PassPlace {
  T* data = nullptr;
  const Compute<T>* bias = nullptr;  // one per channel
  bool relu = false;
  bool drops = false;  // as dropout(): each element by its random word
  uint32_t least_kept = 0;
  Compute<T> scale = 1;
  RandomStream random;
  const T* residual = nullptr;
  bool relu_after = false;
  uint8_t* marks = nullptr;  // gradient_marks.h

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(data);
    if (bias != nullptr) {
      visit(bias);
    }
    if (residual != nullptr) {
      visit(residual);
    }
    if (marks != nullptr) {
      visit(marks);
    }
    random.for_each_pointer(visit);
  }
  void choose_packs() { PassPlace::choose_packs(data, residual, marks); }
};

// Rows are pixels of the input, columns its channels.
template <class T>
struct MaskedOutput : PassPlace {
  T* inner = nullptr;
  T* outer = nullptr;       // where it is wanted
  const T* part = nullptr;  // of the gradient, is added; may be one of the above
  const uint8_t* marks = nullptr;
  Compute<T> scale = 1;  // of the inner gradient

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(inner);
    if (outer != nullptr) {
      visit(outer);
    }
    if (part != nullptr) {
      visit(part);
    }
    visit(marks);
  }
  void choose_packs() { PassPlace::choose_packs(inner, outer, part, marks); }
};

}  // namespace warptape::matrix
