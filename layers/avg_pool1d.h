#pragma once
#include "kernels/adaptive_avg_pool1d/adaptive_avg_pool1d.h"
#include "kernels/avg_pool1d/avg_pool1d.h"
#include "layers/module.h"

namespace warptape {

// As torch.nn.AvgPool1d.
class AvgPool1d : public Module {
 public:
  explicit AvgPool1d(AvgPool1dOptions options = {}) : options_(options) {}
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "AvgPool1d"; }
  std::string settings() const override;
  const AvgPool1dOptions& options() const { return options_; }

 private:
  AvgPool1dOptions options_;
};

// As torch.nn.AdaptiveAvgPool1d: as many windows as are asked for, of sequences of any length.
class AdaptiveAvgPool1d : public Module {
 public:
  explicit AdaptiveAvgPool1d(int64_t output_size) : output_size_(output_size) {}
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "AdaptiveAvgPool1d"; }
  std::string settings() const override;
  int64_t output_size() const { return output_size_; }

 private:
  int64_t output_size_;
};

}  // namespace warptape
