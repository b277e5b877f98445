#pragma once
// What the layers of convolutions share.

#include <span>
#include <string>
#include <vector>

#include "kernels/geometry/conv_geometry.h"
#include "layers/weight.h"

namespace warptape {

// The options of such a layer, an entry per spatial axis.
struct ConvolutionLayer {
  const char* name;  // "Conv2d"
  int64_t in_channels;
  int64_t out_channels;
  std::vector<int64_t> kernel_size;
  std::span<const WindowOptions> axes;
  int64_t groups;
  bool bias;
  DType dtype;
  std::vector<int64_t> output_padding{};  // of a transposed convolution; empty: it is none

  // Filters (out_channels, in_channels / groups, kernel_size), of a transposed convolution
  // (in_channels, out_channels / groups, kernel_size), and a bias, as PyTorch's at the start.
  // ValueError names the option.
  void make(Weight& weight, Parameter& bias_of_layer, const Site& site) const;
  // As PyTorch prints it: "3, 8, kernel_size=(3, 3), stride=(1, 1)".
  std::string settings() const;
};

}  // namespace warptape
