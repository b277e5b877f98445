#pragma once
#include <string>

#include "kernels/channel_dropout/channel_dropout.h"
#include "layers/module.h"

namespace warptape {

// Drops whole channels, in training mode only. Draws from the thread's default generator.
class ChannelDropout : public Module {
 public:
  Tensor forward(const Operand& x) override;
  std::string settings() const override;

 protected:
  // rank: of x. ValueError names p and the layer.
  ChannelDropout(double p, int rank, const Site& site);

 private:
  double p_;
  int rank_;
};

// As torch.nn.Dropout1d: of sequences (N, C, L).
class Dropout1d : public ChannelDropout {
 public:
  explicit Dropout1d(double p = 0.5, const Site& site = Site::here())
      : ChannelDropout(p, 3, site) {}
  std::string type_name() const override { return "Dropout1d"; }
};

// As torch.nn.Dropout2d: of images (N, C, H, W).
class Dropout2d : public ChannelDropout {
 public:
  explicit Dropout2d(double p = 0.5, const Site& site = Site::here())
      : ChannelDropout(p, 4, site) {}
  std::string type_name() const override { return "Dropout2d"; }
};

}  // namespace warptape
