#pragma once
#include "kernels/conv_transpose1d/conv_transpose1d.h"
#include "layers/module.h"
#include "layers/weight.h"

namespace warptape {

// As torch.nn.ConvTranspose1d: weight (in_channels, out_channels / groups, kernel_size), bias
// (out_channels), both U(+-1 / sqrt(n)) at the start with n = out_channels / groups times the
// kernel's taps. Padding may differ between the sides.
class ConvTranspose1d : public Module {
 public:
  struct Options {
    int64_t in_channels = 0;
    int64_t out_channels = 0;
    int64_t kernel_size = 0;
    int64_t stride = 1;
    Padding1d padding = 0;
    int64_t output_padding = 0;
    int64_t dilation = 1;
    int64_t groups = 1;
    bool bias = true;
    DType dtype = float32;
  };

  // ValueError names the option
  explicit ConvTranspose1d(Options options, const Site& site = Site::here());
  void fields(Visitor& visit) override;
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "ConvTranspose1d"; }
  std::string settings() const override;
  const Options& options() const { return options_; }

  Weight weight;
  Parameter bias;

 private:
  Options options_;
};

}  // namespace warptape
