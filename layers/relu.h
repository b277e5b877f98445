#pragma once
#include "kernels/pointwise/pointwise.h"
#include "layers/module.h"

namespace warptape {

// As torch.nn.ReLU.
class ReLU : public Module {
 public:
  Tensor forward(const Operand& x) override { return relu(x); }
  std::string type_name() const override { return "ReLU"; }
};

}  // namespace warptape
