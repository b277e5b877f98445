#include "kernels/linear/linear_kernels.h"
#include "kernels/matmul/gemm_cuda.h"
#include "kernels/sum/sum_kernels.h"

namespace warptape {
namespace {

int64_t rows_of(const Tensor& x, int64_t features) {
  return x.numel() / std::max<int64_t>(features, 1);
}

}  // namespace

void linear_forward_cuda(const char* name, const Tensor& x, const Tensor& weight,
                         const Tensor& bias, bool with_relu, Tensor& y) {
  const GemmProblem problem{.transpose_b = true,
                            .m = rows_of(y, weight.size(0)),
                            .n = weight.size(0),
                            .k = weight.size(1)};
  dispatch_floating(y.dtype(), [&]<class T>() {
    const GemmEpilogue<T> epilogue{.bias = bias.defined() ? bias.data<Compute<T>>() : nullptr,
                                   .relu = with_relu};
    gemm(name, problem, x.data<T>(), weight.data<T>(), epilogue, y.mutable_data<T>());
  });
}

void linear_data_grad_cuda(const char* name, const Tensor& dy, const Tensor& weight, Tensor& dx) {
  // Rows are counted in dx: dy has no elements where there are no output features.
  const GemmProblem problem{
      .m = rows_of(dx, weight.size(1)), .n = weight.size(1), .k = weight.size(0)};
  dispatch_floating(dy.dtype(), [&]<class T>() {
    gemm(name, problem, dy.data<T>(), weight.data<T>(), GemmEpilogue<T>(), dx.mutable_data<T>());
  });
}

void linear_weight_grad_cuda(const char* name, const Tensor& dy, const Tensor& x,
                             GradientTarget dweight, Tensor* dbias) {
  Tensor& to = dweight.buffer;
  const GemmProblem problem{
      .transpose_a = true, .m = to.size(0), .n = to.size(1), .k = rows_of(dy, to.size(0))};
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const GemmEpilogue<T> epilogue{
        .accumulate = dweight.mode == WriteMode::Accumulate,
        .bias_grad = dbias != nullptr ? dbias->mutable_data<Compute<T>>() : nullptr};
    gemm(name, problem, dy.data<T>(), x.data<T>(), epilogue, to.mutable_data<Compute<T>>());
  });
}

void linear_parameter_grads_cuda(const char* name, Backward& context, int weight, int bias,
                                 const Tensor& dy, const Tensor& x) {
  const DType dtype = compute_dtype(dy.dtype());
  Tensor dbias;
  if (context.needs(bias)) {
    dbias = context.overwrite(bias, dtype);
  }
  if (context.needs(weight)) {
    linear_weight_grad_cuda(name, dy, x, context.into(weight, dtype),
                            dbias.defined() ? &dbias : nullptr);
  } else if (dbias.defined()) {
    const int64_t features = dbias.numel();
    dispatch_floating(dy.dtype(), [&]<class T>() {
      sum_matrix_cuda(name, dy.data<T>(), rows_of(dy, features), features, true,
                      dbias.mutable_data<Compute<T>>());
    });
  }
}

}  // namespace warptape
