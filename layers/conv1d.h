#pragma once
#include "kernels/conv1d/conv1d.h"
#include "layers/module.h"
#include "layers/weight.h"

namespace warptape {

// As torch.nn.Conv1d: weight (out_channels, in_channels / groups, kernel_size), bias
// (out_channels), both U(+-1 / sqrt(fan_in)) at the start. Padding may differ between the sides;
// with Padding1d::causal() an output sees its element and those before it.
class Conv1d : public Module {
 public:
  struct Options {
    int64_t in_channels = 0;
    int64_t out_channels = 0;
    int64_t kernel_size = 0;
    int64_t stride = 1;
    Padding1d padding = 0;
    int64_t dilation = 1;
    int64_t groups = 1;
    bool bias = true;
    DType dtype = float32;
  };

  explicit Conv1d(Options options, const Site& site = Site::here());  // ValueError names the option
  void fields(Visitor& visit) override;
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "Conv1d"; }
  std::string settings() const override;
  const Options& options() const { return options_; }

  Weight weight;
  Parameter bias;

 private:
  Options options_;
};

}  // namespace warptape
