#pragma once
#include <string>

#include "kernels/dropout/dropout.h"
#include "layers/module.h"

namespace warptape {

// As torch.nn.Dropout: acts in training mode only. Draws from the thread's default generator.
class Dropout : public Module {
 public:
  explicit Dropout(double p = 0.5, const Site& site = Site::here());
  Tensor forward(const Operand& x) override { return dropout(x, p_, is_training()); }
  std::string type_name() const override { return "Dropout"; }
  std::string settings() const override;

 private:
  double p_;
};

}  // namespace warptape
