#pragma once
#include "core/profile_work.h"
#include "core/tape.h"

namespace warptape {

// For profiles, of the gradients of (out, in) weights and of biases that are wanted, in float32
// beside bfloat16. weight, bias: their numbers among the inputs.
inline profile::Work work_of_parameter_grads(const Backward& context, int weight, int bias,
                                             const Tensor& dy, const Tensor& x) {
  const int64_t out = dy.rank() == 0 ? 1 : dy.size(-1);
  const int64_t size = size_of(compute_dtype(dy.dtype()));
  profile::Work work = profile::moved({&dy}, {});
  if (context.needs(weight)) {
    work.add({.bytes_read = profile::bytes_of(x),
              .bytes_written = out * x.size(-1) * size,
              .flops = 2 * x.numel() * out});
  }
  if (context.needs(bias)) {
    work.bytes_written += out * size;
  }
  return work;
}

// x, y, dx, dy are row-major with the features last: (rows, features). bias may be undefined. It,
// dweight and dbias are of compute_dtype: float32 beside bfloat16.
void linear_forward_cpu(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y);
void linear_data_grad_cpu(const Tensor& dy, const Tensor& weight, Tensor& dx);
void linear_weight_grad_cpu(const Tensor& dy, const Tensor& x, GradientTarget dweight);
void linear_bias_grad_cpu(const Tensor& dy, GradientTarget dbias);

// `name` is the op, for launches and errors.
void linear_forward_cuda(const char* name, const Tensor& x, const Tensor& weight,
                         const Tensor& bias, bool with_relu, Tensor& y);
void linear_data_grad_cuda(const char* name, const Tensor& dy, const Tensor& weight, Tensor& dx);
// dbias, if it is not nullptr, is overwritten by the same pass.
void linear_weight_grad_cuda(const char* name, const Tensor& dy, const Tensor& x,
                             GradientTarget dweight, Tensor* dbias);
// The gradients of the weight and the bias, which are these inputs of the op, if they are wanted.
void linear_parameter_grads_cuda(const char* name, Backward& context, int weight, int bias,
                                 const Tensor& dy, const Tensor& x);

}  // namespace warptape
