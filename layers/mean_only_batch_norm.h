#pragma once
#include <optional>
#include <string>

#include "layers/module.h"

namespace warptape {

// Mean-only batch normalisation (Salimans & Kingma 2016, arXiv 1602.07868, section 4), which goes
// behind a weight-normalised layer: y = x - mean + bias, per channel of x (N, C), (N, C, L) or
// (N, C, H, W). Nothing is divided: the weight's g sets the scale.
//
//   Conv2d conv({.in_channels = 3, .out_channels = 96, .kernel_size = 3, .bias = false});
//   Sequential net(weight_norm(conv), MeanOnlyBatchNorm(96), ReLU());
//
// In training the mean is that of the batch, of which each channel needs more than one value, and
// running_mean moves towards it, as BatchNorm's does; both stay on the device, so that a captured
// step goes on doing so. A batch without elements leaves it as it is. In eval() the mean is
// running_mean. Its keys are bias (zeros at the start), running_mean and num_batches_tracked. In
// mixed precision x may be bfloat16; the mean is taken and subtracted in float32.
class MeanOnlyBatchNorm : public Module {
 public:
  struct Options {
    int64_t num_features = 0;
    std::optional<double> momentum = 0.1;  // none: the average of all batches
    bool bias = true;
    DType dtype = float32;
  };

  // ValueError names the option.
  explicit MeanOnlyBatchNorm(const Options& options, const Site& site = Site::here());
  explicit MeanOnlyBatchNorm(int64_t num_features, const Site& site = Site::here())
      : MeanOnlyBatchNorm(Options{.num_features = num_features}, site) {}
  void fields(Visitor& visit) override;
  // ShapeError for another rank or number of channels, DTypeError for a dtype that the parameters
  // do not have (but for bfloat16), ValueError for one value per channel in training.
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "MeanOnlyBatchNorm"; }
  std::string settings() const override;
  bool is_norm() const override { return true; }
  const Options& options() const { return options_; }

  Parameter bias;
  Buffer running_mean;
  Buffer num_batches_tracked;

 private:
  void check_input(const Operand& x) const;
  void track(const Tensor& batch_mean);

  Options options_;
};

}  // namespace warptape
