#include "kernels/nll_loss/nll_loss_cuda.h"

#include "kernels/losses/loss.h"
#include "kernels/nll_loss/nll_loss_kernels.h"
#include "kernels/rows/along_dim.h"

namespace warptape {
namespace {

on_cuda::NllLossRows rows_of(const NllLossCall& call, const Tensor& scores, const Tensor& labels) {
  on_cuda::NllLossRows rows{.extents = extents_along(scores, 1),
                            .count = labels.numel(),
                            .ignore_index = call.ignore_index};
  if (scores.numel() == 0) {
    rows.extents = {.outer = labels.numel(), .length = scores.shape()[1]};
  }
  rows.bad_label = bad_label_code("nll_loss", scores.shape()[1], call.ignore_index);
  return rows;
}

}  // namespace

void nll_loss_forward_cuda(const NllLossCall& call, const Tensor& input, const Tensor& labels,
                           Tensor& counted, Tensor& y) {
  const on_cuda::NllLossRows rows = rows_of(call, input, labels);
  LossWorkspace workspace(call.each ? 1 : on_cuda::nll_loss_blocks(rows.count), input.device());
  dispatch_floating(input.dtype(), [&]<class T>() {
    on_cuda::nll_loss(gpu::current_stream(), rows, input.data<T>(), labels.data<int64_t>(),
                      call.each ? y.mutable_data<T>() : nullptr,
                      workspace.sums<T>(y, call.mean ? counted : Tensor()), gpu::report_word());
  });
}

void nll_loss_backward_cuda(const NllLossCall& call, const Tensor& dy, const Tensor& labels,
                            const Tensor& counted, GradientTarget dinput) {
  const gpu::StreamHandle stream = gpu::current_stream();
  const bool add = dinput.mode == WriteMode::Accumulate;
  const on_cuda::NllLossRows rows = rows_of(call, dinput.buffer, labels);
  dispatch_floating(dy.dtype(), [&]<class T>() {
    T* to = dinput.buffer.mutable_data<T>();
    if (!add && dinput.buffer.numel() > 0) {
      gpu::fill_bytes(to, 0, static_cast<size_t>(dinput.buffer.numel()) * sizeof(T), stream);
    }
    on_cuda::nll_loss_backward(stream, rows, dy.data<T>(), call.each, labels.data<int64_t>(),
                               {1, call.mean ? counted.data<double>() : nullptr}, add, to);
  });
}

}  // namespace warptape
