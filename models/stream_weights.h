#pragma once
// The weights of layers as stages of a stream have them. Tensors are plain ones on the CPU.

#include <string>
#include <vector>

#include "kernels/streaming/stages.h"
#include "layers/batch_norm.h"
#include "layers/conv_transpose1d.h"

namespace warptape {

// What a batch norm makes of a channel in eval(): x scale + shift.
struct ScaleAndShift {
  std::vector<double> scale;
  std::vector<double> shift;
};

// ValueError, which calls the layer `name`, for one without running statistics.
ScaleAndShift in_eval(BatchNorm1d& norm, const std::string& name, const Site& site);

// Makes one convolution of a convolution and the norm behind it. bias may be undefined before.
void fold(const ScaleAndShift& norm, Tensor& weight, Tensor& bias);

// The weight of a transposed convolution, (in_channels, out_channels / groups, k), as that of a
// convolution, (out_channels, in_channels / groups, k).
Tensor as_convolution(const Tensor& weight, int64_t groups);

// Of a transposed convolution's result, the elements n with n modulo stride = phase. weight: as
// as_convolution() gives it.
streaming::Phase phase_of(const Tensor& weight, const Tensor& bias,
                          const ConvTranspose1d::Options& options, int64_t phase, Device device);

}  // namespace warptape
