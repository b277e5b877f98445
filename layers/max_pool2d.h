#pragma once
#include "kernels/max_pool2d/max_pool2d.h"
#include "layers/module.h"

namespace warptape {

// As torch.nn.MaxPool2d.
class MaxPool2d : public Module {
 public:
  explicit MaxPool2d(MaxPool2dOptions options = {}) : options_(options) {}
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "MaxPool2d"; }
  std::string settings() const override;
  const MaxPool2dOptions& options() const { return options_; }

 private:
  MaxPool2dOptions options_;
};

}  // namespace warptape
