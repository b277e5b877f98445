// What core itself records: views of a tensor, and copies in another place, dtype or format.

#include "core/check.h"
#include "core/linear_map.h"
#include "core/primitives.h"
#include "core/tape.h"

namespace warptape {
namespace {

// Records y = op(x) where a tape wants it; give(gradient of y) returns that of x. The gradient is
// handed over by value, so that the tape can move what give makes of it.
template <class Give>
Tensor recorded(const char* op, const Operand& x, Tensor y, const Give& give) {
  if (Tape* tape = Tape::recording({&x})) {
    const auto backward = [give](Backward& context) {
      if (context.needs(0)) {
        Tensor dx = give(context.take_grad());
        context.give(0, std::move(dx));
      }
    };
    tape->record(op, {&x}, {&y}, backward, Differentiable::Twice);
  }
  return y;
}

// Takes rows of a tensor of this shape; back, it puts them between zeros.
LinearMap rows_of(const Shape& shape, int64_t begin, int64_t end) {
  return {"slice", [=](const Tensor& x) { return x.slice(begin, end).clone(); },
          [=](const Tensor& dy) {
            Tensor dx = Tensor::zeros(shape, dy.dtype(), dy.device());
            dx = primitives::relayout(dx, dy.memory_format());
            Tensor part = dx.slice(begin, end);
            primitives::copy(dy, part);
            return dx;
          }};
}

void slice_backward(Backward& context, int64_t begin, int64_t end) {
  if (!context.needs(0)) {
    return;
  }
  GradientTarget dx = context.into(0);
  Tensor part = dx.buffer.slice(begin, end);
  if (dx.mode == WriteMode::Accumulate) {
    primitives::add(context.grad(), part);
    return;
  }
  primitives::fill(dx.buffer, 0);
  primitives::copy(context.grad(), part);
}

}  // namespace

Tensor Tensor::clone(const Site& site) const {
  const Operand x(*this, site.file, site.line);
  check_defined("clone", x);
  Tensor copy = empty_like(*this);
  primitives::copy(*this, copy);
  return recorded("clone", x, std::move(copy), [](Tensor dy) { return dy; });
}

Tensor Tensor::to(Device device, const Site& site) const {
  const Operand x(*this, site.file, site.line);
  check_defined("to", x);
  const Device from = this->device();
  if (device == from) {
    return *this;
  }
  Tensor result = empty(shape_, dtype_, device, format_);
  const auto count = static_cast<size_t>(bytes());
  if (device == cpu) {
    backend(from).copy_to_host(result.mutable_raw_data(), raw_data(), count);
  } else {
    backend(device).copy_from_host(result.mutable_raw_data(), raw_data(), count);
  }
  return recorded("to", x, std::move(result), [from](const Tensor& dy) { return dy.to(from); });
}

Tensor Tensor::to(DType dtype, const Site& site) const {
  const Operand x(*this, site.file, site.line);
  check_defined("to", x);
  const DType from = dtype_;
  if (dtype == from) {
    return *this;
  }
  Tensor result = primitives::cast(*this, dtype);
  if (!is_floating(dtype) || !is_floating(from)) {
    return result;
  }
  result = recorded("to", x, std::move(result), [from](const Tensor& dy) { return dy.to(from); });
  // What computes with bfloat16 sums up its gradient in float32: it need not be rounded on the way.
  if (Tape* tape = dtype == bfloat16 ? Tape::recording({&x}) : nullptr) {
    tape->take_gradient_in(result, compute_dtype(dtype));
  }
  return result;
}

Tensor Tensor::to(MemoryFormat format, const Site& site) const {
  const Operand x(*this, site.file, site.line);
  check_defined("to", x);
  if (normalized(format, rank()) == format_) {
    return *this;
  }
  // The tape brings the gradient into x's format.
  return recorded("to", x, primitives::relayout(*this, format), [](Tensor dy) { return dy; });
}

Tensor Tensor::view(const Shape& shape, const Site& site) const {
  const Operand x(*this, site.file, site.line);
  check_defined("view", x);
  check<ShapeError>(shape.numel() == numel(), site,
                    "[view] elements: got shape {}, wanted {} as in {}", shape, numel(), shape_);
  if (format_ == MemoryFormat::ChannelsLast) {
    // In memory (N, spatial dimensions, C): those between may be counted in another way.
    check<ShapeError>(shape.rank() >= 3 && shape[0] == shape_[0] && shape[1] == shape_[1], site,
                      "[view] memory format: got channels_last, wanted row_major for shape {}, "
                      "which is not ({}, {}, ...)",
                      shape, shape_[0], shape_[1]);
  }
  Tensor result = constant();
  result.shape_ = shape;
  return recorded("view", x, std::move(result),
                  [from = shape_](const Tensor& dy) { return dy.view(from); });
}

Tensor Tensor::slice(int64_t begin, int64_t end, const Site& site) const {
  const Operand x(*this, site.file, site.line);
  check_defined("slice", x);
  check<ShapeError>(rank() > 0 && 0 <= begin && begin <= end && end <= shape_[0], site,
                    "[slice] range: got [{}, {}), wanted a part of dimension 0 of {}", begin, end,
                    shape_);
  Tensor part = constant();
  part.offset_ += begin * strides()[0];
  part.shape_[0] = end - begin;
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(
        "slice", {&x}, {&part},
        [begin, end, shape = shape_](Backward& context) {
          if (context.creates_graph()) {
            give_transposed(context, rows_of(shape, begin, end));
          } else {
            slice_backward(context, begin, end);
          }
        },
        Differentiable::Twice);
  }
  return part;
}

}  // namespace warptape
