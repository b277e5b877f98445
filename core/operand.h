#pragma once
// Operand: what an op takes. Made implicitly from a Tensor or a Parameter, it captures the caller's
// line, which errors, anomaly mode and Tape::dot() name. A layer's forward takes Operands and
// passes them on, so that the line is the user's.

#include "core/parameter.h"
#include "core/tensor.h"

namespace warptape {

class Operand {
 public:
  Operand(const Tensor& tensor, const char* file = __builtin_FILE(), int line = __builtin_LINE())
      : tensor_(tensor), site_{file, line} {}
  Operand(const Parameter& parameter, const char* file = __builtin_FILE(),
          int line = __builtin_LINE())
      : tensor_(parameter.value()), parameter_(parameter.state()), site_{file, line} {}

  const Tensor& tensor() const { return tensor_; }
  const std::shared_ptr<ParameterState>& parameter() const { return parameter_; }  // or null
  const Site& site() const { return site_; }

  bool defined() const { return tensor_.defined(); }
  const Shape& shape() const { return tensor_.shape(); }
  int rank() const { return tensor_.rank(); }
  int64_t size(int dim) const { return tensor_.size(dim); }
  int64_t numel() const { return tensor_.numel(); }
  DType dtype() const { return tensor_.dtype(); }
  Device device() const { return tensor_.device(); }
  MemoryFormat memory_format() const { return tensor_.memory_format(); }

 private:
  Tensor tensor_;
  std::shared_ptr<ParameterState> parameter_;
  Site site_;
};

// What every op checks first; each names the op, what was found and what was wanted.
void check_defined(const char* op, const Operand& x);
void check_floating(const char* op, const Operand& x);  // defined, float32 or float64
void check_rank(const char* op, const Operand& x, int rank, const char* wanted);
void check_same_kind(const char* op, const Operand& a, const Operand& b);  // dtype and device

}  // namespace warptape
