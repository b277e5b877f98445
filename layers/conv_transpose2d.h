#pragma once
#include "kernels/conv_transpose2d/conv_transpose2d.h"
#include "layers/module.h"
#include "layers/weight.h"

namespace warptape {

// As torch.nn.ConvTranspose2d: weight (in_channels, out_channels / groups, kH, kW), bias
// (out_channels), both U(+-1 / sqrt(n)) at the start with n = out_channels / groups times the
// kernel's taps. Padding may differ between the sides.
class ConvTranspose2d : public Module {
 public:
  struct Options {
    int64_t in_channels = 0;
    int64_t out_channels = 0;
    Pair kernel_size = 0;
    Pair stride = 1;
    Padding2d padding = 0;
    Pair output_padding = 0;
    Pair dilation = 1;
    int64_t groups = 1;
    bool bias = true;
    DType dtype = float32;
  };

  // ValueError names the option
  explicit ConvTranspose2d(Options options, const Site& site = Site::here());
  void fields(Visitor& visit) override;
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "ConvTranspose2d"; }
  std::string settings() const override;
  const Options& options() const { return options_; }

  Weight weight;
  Parameter bias;

 private:
  Options options_;
};

}  // namespace warptape
