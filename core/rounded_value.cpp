#include "core/rounded_value.h"

#include "core/cast_into.h"
#include "core/graph_memory.h"
#include "core/tape.h"

namespace warptape {

bool RoundedValue::is_of(const Tensor& value) const {
  return value_.defined() && value_.shares_storage_with(value) && version_ == value.version();
}

void RoundedValue::remember(const Tensor& value) {
  value_ = value.detach();
  version_ = value.version();
  stream_ = backend(value.device()).current_stream();
}

void RoundedValue::compute(const Tensor& value) {
  const bool fits = rounded_.defined() && rounded_.shape() == value.shape() &&
                    rounded_.device() == value.device() &&
                    rounded_.memory_format() == value.memory_format();
  if (!fits) {
    rounded_ = Tensor::empty(value.shape(), bfloat16, value.device(), value.memory_format());
  }
  value_ = Tensor();
  primitives::cast_into(value, rounded_);
  remember(value);
}

Tensor RoundedValue::of(const Operand& x) {
  const std::lock_guard lock(mutex_);
  if (!is_of(x)) {
    compute(x);
    if (x.parameter() != nullptr) {
      parameter_ = x.parameter();
      keep_for(*x.parameter());
    }
  } else if (stream_ != backend(x.device()).current_stream() &&
             !GraphMemory::is_open(x.device())) {  // a capture's order is its own
    return x.to(bfloat16, x.site());
  }
  Tensor y = rounded_.read_as(rounded_.shape(), rounded_.memory_format());
  y.cut_from(x, "primitives::cast");
  if (Tape* tape = Tape::recording({&x})) {
    const auto backward = [from = x.dtype()](Backward& context) {
      if (context.needs(0)) {
        Tensor dx = context.take_grad().to(from);
        context.give(0, std::move(dx));
      }
    };
    tape->record("to", {&x}, {&y}, backward, Differentiable::Twice);
    tape->take_gradient_in(y, compute_dtype(bfloat16));
  }
  return y;
}

Tensor RoundedValue::tensor() {
  const std::lock_guard lock(mutex_);
  return rounded_;
}

bool RoundedValue::is_fresh() {
  const std::lock_guard lock(mutex_);
  const auto parameter = parameter_.lock();
  return parameter != nullptr && is_of(parameter->value);
}

void RoundedValue::refresh() {
  const std::lock_guard lock(mutex_);
  const auto parameter = parameter_.lock();
  if (parameter != nullptr && !is_of(parameter->value)) {
    compute(parameter->value);
  }
}

void RoundedValue::mark_fresh() {
  const std::lock_guard lock(mutex_);
  if (const auto parameter = parameter_.lock()) {
    remember(parameter->value);
  }
}

void RoundedValue::forget() {
  const std::lock_guard lock(mutex_);
  value_ = Tensor();
}

}  // namespace warptape
