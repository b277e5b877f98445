#pragma once
// Ops with shapes, options, formats and dtypes drawn from a seed.

#include <functional>
#include <string>
#include <vector>

#include "core/operand.h"

namespace warptape {

struct RandomOp {
  std::string text;               // the op with its options
  std::vector<Tensor> inputs;     // floating, on the CPU
  std::vector<Tensor> constants;  // labels, pixels
  std::function<Tensor(const std::vector<Operand>& inputs, const std::vector<Tensor>& constants)>
      run;
  bool differentiable = true;
};

// The same for a seed on every machine.
RandomOp random_op(uint64_t seed);

}  // namespace warptape
