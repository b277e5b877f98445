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
// is wanted and it is less: column n of window w is data[w * pitch + n]. Beside it, where indices
// is given, which of the window's rows it was, or `window` where ReLU made it zero. As max_pool2d.
template <class T>
struct PooledOutput {
  static constexpr int window = WindowedRadix::window;

  T* data = nullptr;
  uint8_t* indices = nullptr;
  WindowedRadix rows;
  int columns = 0;
  int groups = 1;
  int64_t group_stride = 0;
  int64_t pitch = 0;
  const T* bias = nullptr;  // one per column
  int64_t bias_group_stride = 0;
  bool relu = false;

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

  // Of the sums of a window's rows in one column; `row` is told which.
  WARPTAPE_HOST_DEVICE T largest(const T (&sums)[window], int group, int column, int& row) const {
    const T shift = bias != nullptr ? bias[group * bias_group_stride + column] : T(0);
    T best = sums[0] + shift;
    row = 0;
    for (int i = 1; i < window; ++i) {
      const T value = sums[i] + shift;
      // !(value <= best) also lets a NaN win; once best is one, nothing replaces it.
      const bool wins = !(value <= best) && best == best;
      best = wins ? value : best;
      row = wins ? i : row;
    }
    if (relu && best <= T(0)) {
      row = window;
      return T(0);
    }
    return best;
  }
};

}  // namespace warptape::matrix
