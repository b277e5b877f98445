#pragma once
#include "kernels/avg_pool2d/avg_pool2d.h"
#include "layers/module.h"

namespace warptape {

// As torch.nn.AvgPool2d.
class AvgPool2d : public Module {
 public:
  explicit AvgPool2d(AvgPool2dOptions options = {}) : options_(options) {}
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "AvgPool2d"; }
  std::string settings() const override;
  const AvgPool2dOptions& options() const { return options_; }

 private:
  AvgPool2dOptions options_;
};

}  // namespace warptape
