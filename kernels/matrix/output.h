#pragma once
// Where the results of the matrix core go, and what happens to them on the way.

#include "core/element_types.h"
#include "kernels/matrix/digits.h"

namespace warptape::matrix {

// Column n of row m is data[row_stride of m + n]. In this order: plus the bias of its column, ReLU,
// plus what was there before. Beside them, where row_sums is given, the left operand's sums over
// the depth, one per row and group: the gradient of a bias where the left operand is dy.
template <class T>
struct Output {
  T* data = nullptr;
  Radix rows;
  DigitStrides row_stride;
  int columns = 0;
  int groups = 1;
  int64_t group_stride = 0;
  const Compute<T>* bias = nullptr;  // one per column
  int64_t bias_group_stride = 0;
  bool relu = false;
  bool accumulate = false;
  T* row_sums = nullptr;  // [group][row], overwritten; summed in float64

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(data);
    if (bias != nullptr) {
      visit(bias);
    }
    if (row_sums != nullptr) {
      visit(row_sums);
    }
  }

  // The first column of a row.
  WARPTAPE_HOST_DEVICE T* at(int group, int row) const {
    return data + group * group_stride + row_stride.offset(rows.split(row));
  }
  WARPTAPE_HOST_DEVICE int64_t results() const { return rows.size() * columns * groups; }
  WARPTAPE_HOST_DEVICE bool has_row_sums() const { return row_sums != nullptr; }

  template <class Accumulator>
  WARPTAPE_HOST_DEVICE T finish(Accumulator sum, int group, int column, const T* to) const {
    return finish(sum, bias != nullptr ? bias[group * bias_group_stride + column] : Compute<T>(0),
                  to);
  }
  // shift: the bias of the column, which is not looked at where there is none.
  template <class Accumulator>
  WARPTAPE_HOST_DEVICE T finish(Accumulator sum, Compute<T> shift, const T* to) const {
    if (bias != nullptr) {
      sum += static_cast<Accumulator>(shift);
    }
    if (relu) {
      // A NaN stays one.
      sum = sum < Accumulator(0) ? Accumulator(0) : sum;
    }
    if (accumulate) {
      sum = static_cast<Accumulator>(static_cast<Compute<T>>(*to)) + sum;
    }
    return static_cast<T>(sum);
  }
};

// The largest of each window of rows (WindowedRadix) plus the bias of their column, or zero if ReLU
// is wanted and it is less; where indices is given, beside it which of the window's rows it was, or
// `window` where ReLU made it zero. As max_pool2d of what Output makes, to the bit. Indices lie by
// (window, channel), and so do the results, or by (image, channel, window of the image): by rows.
template <class T>
struct PooledOutput {
  static constexpr int window = WindowedRadix::window;

  T* data = nullptr;
  uint8_t* indices = nullptr;
  WindowedRadix rows;
  int columns = 0;  // channels of a group
  int groups = 1;
  const Compute<T>* bias = nullptr;  // one per channel
  bool relu = false;
  bool by_rows = false;
  bool packs = false;  // 16 bytes of results may be stored at once
  bool index_packs = false;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(data);
    if (indices != nullptr) {
      visit(indices);
    }
    if (bias != nullptr) {
      visit(bias);
    }
  }
  WARPTAPE_HOST_DEVICE bool has_row_sums() const { return false; }
  WARPTAPE_HOST_DEVICE int windows_of_image() const { return rows.out_height * rows.out_width; }

  // When all else is filled in.
  void choose_packs() {
    const auto begins_at_16 = [](const void* p) {
      return reinterpret_cast<uintptr_t>(p) % 16 == 0;
    };
    constexpr int pack = 16 / static_cast<int>(sizeof(T));
    packs = (by_rows ? windows_of_image() : columns) % pack == 0 && begins_at_16(data);
    index_packs = columns % 16 == 0 && begins_at_16(indices);
  }

  // Where the result of a window in one channel lies; its index, with the other order.
  WARPTAPE_HOST_DEVICE int64_t place(int at, int channel, bool rows_first) const {
    const int channels = groups * columns;
    if (!rows_first) {
      return int64_t{at} * channels + channel;
    }
    const int size = windows_of_image();
    const int image = at / size;
    return (int64_t{image} * channels + channel) * size + (at - image * size);
  }

  WARPTAPE_HOST_DEVICE Compute<T> shift(int group, int column) const {
    return bias != nullptr && column < columns ? bias[group * columns + column] : Compute<T>(0);
  }

  // Of the sums of a window's rows in one column, with its shift(); `row` is told which.
  template <class Accumulator>
  WARPTAPE_HOST_DEVICE T largest(const Accumulator (&sums)[window], Compute<T> shift,
                                 uint8_t& row) const {
    // What pooling would read: rounded.
    const auto value_of = [&](int i) {
      const Accumulator sum = bias != nullptr ? sums[i] + static_cast<Accumulator>(shift) : sums[i];
      return static_cast<Compute<T>>(static_cast<T>(sum));
    };
    Compute<T> best = value_of(0);
    int found = 0;
    for (int i = 1; i < window; ++i) {
      const Compute<T> value = value_of(i);
      // !(value <= best) also lets a NaN win; once best is one, nothing replaces it.
      const bool wins = !(value <= best) && best == best;
      best = wins ? value : best;
      found = wins ? i : found;
    }
    const bool is_dead = relu && best <= Compute<T>(0);
    row = static_cast<uint8_t>(is_dead ? window : found);
    return static_cast<T>(is_dead ? Compute<T>(0) : best);
  }
};

}  // namespace warptape::matrix
