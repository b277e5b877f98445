#pragma once
// Operand: what an op takes, a tensor that knows the caller's line and whether it is a parameter.
// Made implicitly from a Tensor or a Parameter; errors, anomaly mode and Tape::dot() name the line.
// While a module is called, the line is that of the call:
//   Tensor y = x;                     // x as a tensor, on the tape as x is
//   return deep_ ? fc(x) : Tensor(x); // both branches need one type

#include <utility>

#include "core/buffer.h"
#include "core/parameter.h"
#include "core/tensor.h"

namespace warptape {

class Operand : public Tensor {
 public:
  // The value of a parameter is that parameter: what Parameter::value() returned is recorded too.
  Operand(const Tensor& tensor, const char* file = __builtin_FILE(), int line = __builtin_LINE())
      : Tensor(tensor), site_(Site::here(file, line)) {
    if (parameter_id() != 0) {
      parameter_ = find_parameter(tensor);
    }
  }
  // A result that nobody else has a name for: the op may take it over (core/deferred.h).
  Operand(Tensor&& tensor, const char* file = __builtin_FILE(), int line = __builtin_LINE())
      : Tensor(std::move(tensor)), site_(Site::here(file, line)) {
    if (parameter_id() != 0) {
      parameter_ = find_parameter(*this);
    }
  }
  Operand(const Parameter& parameter, const char* file = __builtin_FILE(),
          int line = __builtin_LINE())
      : Tensor(parameter.value()), parameter_(parameter.state()), site_(Site::here(file, line)) {}
  Operand(const Buffer& buffer, const char* file = __builtin_FILE(), int line = __builtin_LINE())
      : Tensor(buffer.value()), site_(Site::here(file, line)) {}

  const Tensor& tensor() const { return *this; }
  const std::shared_ptr<ParameterState>& parameter() const { return parameter_; }  // or null
  const Site& site() const { return site_; }

 private:
  std::shared_ptr<ParameterState> parameter_;
  Site site_;
};

// What every op checks first; each names the op, what was found and what was wanted.
void check_defined(const char* op, const Operand& x);
void check_floating(const char* op, const Operand& x);  // defined, of a floating dtype
void check_rank(const char* op, const Operand& x, int rank, const char* wanted);
void check_same_kind(const char* op, const Operand& a, const Operand& b);  // dtype and device
// The device of a, and its dtype or compute_dtype of that: what is added to sums of products.
void check_bias_kind(const char* op, const Operand& a, const Operand& bias);
// That a tensor of this shape, called `what`, can be counted: sizes come from options and
// broadcasts too.
void check_countable(const char* op, const char* what, const Shape& shape, DType dtype,
                     const Site& site);

}  // namespace warptape
