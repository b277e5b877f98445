#pragma once
// What measured cases are written with. Traffic does not depend on values: tensors hold one that
// every op is defined for.

#include <utility>

#include "core/tape.h"
#include "kernels/cases/case.h"

namespace warptape {

inline Tensor on_cuda(const Shape& shape, DType dtype) {
  return Tensor::full(shape, 0.5, dtype, cuda);
}

inline int64_t bytes_of(const Shape& shape, DType dtype) {
  return shape.numel() * size_of(dtype);
}

inline PreparedKernels all_wide(std::function<void()> run, int64_t bytes) {
  return {std::move(run), bytes, bytes};
}

using MeasuredOp = std::function<Tensor(const std::vector<Tensor>&)>;

// y of some inputs, and the gradients of all of them from dy, a tensor like y. The tape copies dy,
// which is no kernel of the op's.
inline PreparedKernels forward_and_backward(std::vector<Tensor> inputs, const Tensor& dy,
                                            const MeasuredOp& op, int64_t counted_bytes,
                                            int64_t wide_bytes) {
  const auto run = [inputs = std::move(inputs), dy, op]() mutable {
    Tape tape;
    for (Tensor& input : inputs) {
      tape.watch(input);
    }
    tape.backward(op(inputs), dy);
  };
  return {run, counted_bytes, wide_bytes, "copy", 2 * bytes_of(dy.shape(), dy.dtype())};
}

// Of inputs and a result of one shape. tensors: how many of that are read or written, forward and
// backward.
inline MeasuredCase elementwise_case(const std::string& name, size_t inputs, int64_t tensors,
                                     const MeasuredOp& op) {
  const auto prepare = [=](const Shape& shape, DType dtype) {
    std::vector<Tensor> in;
    for (size_t i = 0; i < inputs; ++i) {
      in.push_back(on_cuda(shape, dtype));
    }
    const int64_t bytes = tensors * bytes_of(shape, dtype);
    return forward_and_backward(in, on_cuda(shape, dtype), op, bytes, bytes);
  };
  return {name, "forward and backward", {512, 1024}, prepare};
}

}  // namespace warptape
