#include "models/stream_weights.h"

#include <cmath>

#include "core/check.h"
#include "kernels/concat/concat.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/slice/slice.h"
#include "kernels/transpose/transpose.h"

namespace warptape {

ScaleAndShift in_eval(BatchNorm1d& norm, const std::string& name, const Site& site) {
  check<ValueError>(norm.running_var.defined(), site,
                    "[stream] {}: track_running_stats: got False, wanted True", name);
  const auto numbers = [](const Tensor& tensor) {
    return tensor.detach().to(cpu).to(float64).to_vector<double>();
  };
  ScaleAndShift made{.scale = numbers(norm.running_var.value()),
                     .shift = numbers(norm.running_mean.value())};
  for (double& scale : made.scale) {
    scale = 1 / std::sqrt(scale + norm.options().eps);
  }
  if (norm.weight.defined()) {
    const std::vector<double> weight = numbers(norm.weight.value(site));
    for (size_t c = 0; c < weight.size(); ++c) {
      made.scale[c] *= weight[c];
    }
  }
  const std::vector<double> bias =
      norm.bias.defined() ? numbers(norm.bias.value()) : std::vector<double>(made.scale.size());
  for (size_t c = 0; c < bias.size(); ++c) {
    made.shift[c] = bias[c] - made.shift[c] * made.scale[c];
  }
  return made;
}

void fold(const ScaleAndShift& norm, Tensor& weight, Tensor& bias) {
  const DType dtype = weight.dtype();
  const int64_t channels = weight.size(0);
  const Tensor scale = Tensor::from_vector(norm.scale, {channels});
  const Tensor shift = Tensor::from_vector(norm.shift, {channels});
  bias = bias.defined() ? add(mul(bias.to(float64), scale), shift).to(dtype) : shift.to(dtype);
  weight = mul(weight.to(float64), scale.view({channels, 1, 1})).to(dtype);
  weight = weight.to(MemoryFormat::RowMajor);
}

Tensor as_convolution(const Tensor& weight, int64_t groups) {
  const int64_t in = weight.size(0) / groups;
  const int64_t out = weight.size(1);
  const int64_t taps = weight.size(2);
  const Tensor grouped = transpose(weight.view({groups, in, out, taps}), 1, 2);
  return grouped.view({groups * out, in, taps});
}

// Those taps k whose k dilation is the phase modulo stride, too. The last of them comes first, as
// it meets the oldest row.
streaming::Phase phase_of(const Tensor& weight, const Tensor& bias,
                          const ConvTranspose1d::Options& options, int64_t phase, Device device) {
  std::vector<Operand> taps;
  std::vector<int64_t> lags;
  for (int64_t k = options.kernel_size - 1; k >= 0; --k) {
    if (k * options.dilation % options.stride == phase) {
      taps.emplace_back(slice(weight, 2, k, k + 1));
      lags.push_back(k * options.dilation / options.stride);
    }
  }
  if (taps.empty()) {  // the bias alone
    taps.emplace_back(Tensor::zeros({weight.size(0), weight.size(1), 1}, weight.dtype()));
    lags.push_back(0);
  }
  const int64_t dilation = lags.size() > 1 ? lags[0] - lags[1] : 1;
  const Tensor filters = concat(taps, 2).to(MemoryFormat::RowMajor);
  return {streaming::pack_filters(filters, bias, options.groups, dilation, device), lags.back()};
}

}  // namespace warptape
