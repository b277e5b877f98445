#pragma once
#include "kernels/adaptive_max_pool1d/adaptive_max_pool1d.h"
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

// As torch.nn.AdaptiveMaxPool1d: as many windows as are asked for, of sequences of any length.
class AdaptiveMaxPool1d : public Module {
 public:
  explicit AdaptiveMaxPool1d(int64_t output_size) : output_size_(output_size) {}
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "AdaptiveMaxPool1d"; }
  std::string settings() const override;
  int64_t output_size() const { return output_size_; }

 private:
  int64_t output_size_;
};

}  // namespace warptape
