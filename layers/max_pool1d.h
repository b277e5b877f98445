#pragma once
#include "kernels/max_pool1d/max_pool1d.h"
#include "layers/module.h"

namespace warptape {

// As torch.nn.MaxPool1d.
class MaxPool1d : public Module {
 public:
  explicit MaxPool1d(MaxPool1dOptions options = {}) : options_(options) {}
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "MaxPool1d"; }
  std::string settings() const override;
  const MaxPool1dOptions& options() const { return options_; }

 private:
  MaxPool1dOptions options_;
};

}  // namespace warptape
