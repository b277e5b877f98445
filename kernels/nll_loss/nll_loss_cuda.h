#pragma once
#include "core/device/gpu.h"
#include "kernels/losses/loss_cuda.h"
#include "kernels/rows/row_geometry.h"

namespace warptape::on_cuda {

// Rows of scores, and their labels in the order of the rows.
struct NllLossRows {
  rows::Extents extents;
  int64_t count = 0;
  int64_t ignore_index = 0;
  int bad_label = 0;  // the code to report

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

int64_t nll_loss_blocks(int64_t rows);

// each: a loss for every label, or nullptr, and then their sum over the count (or over 1, if
// sums.counted is null) in sums.
template <class T>
void nll_loss(gpu::StreamHandle stream, const NllLossRows& rows, const T* input,
              const int64_t* labels, T* each, const LossSums<T>& sums, gpu::ErrorReport* report);

// Adds to dinput, or writes, what labels name; the rest stays. dy: one element, or, if `each`, one
// for every label.
template <class T>
void nll_loss_backward(gpu::StreamHandle stream, const NllLossRows& rows, const T* dy, bool each,
                       const int64_t* labels, const LossDivisor& divisor, bool add, T* dinput);

}  // namespace warptape::on_cuda
