#pragma once
#include "kernels/conv2d/conv2d.h"
#include "layers/module.h"
#include "layers/weight.h"

namespace warptape {

// As torch.nn.Conv2d: weight (out_channels, in_channels / groups, kH, kW), bias (out_channels),
// both U(+-1 / sqrt(fan_in)) at the start. Padding may differ between the sides.
class Conv2d : public Module {
 public:
  struct Options {
    int64_t in_channels = 0;
    int64_t out_channels = 0;
    Pair kernel_size = 0;
    Pair stride = 1;
    Padding2d padding = 0;
    Pair dilation = 1;
    int64_t groups = 1;
    bool bias = true;
    DType dtype = float32;
  };

  explicit Conv2d(Options options, const Site& site = Site::here());  // ValueError names the option
  void fields(Visitor& visit) override;
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "Conv2d"; }
  std::string settings() const override;
  const Options& options() const { return options_; }

  Weight weight;
  Parameter bias;

 private:
  Options options_;
};

}  // namespace warptape
