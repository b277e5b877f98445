#include "models/stream_padding.h"

#include <algorithm>

#include "core/check.h"
#include "models/receptive_field.h"

namespace warptape {
namespace {

int64_t reach_of(int64_t kernel_size, int64_t dilation) {
  const DilatedKernel kernel{kernel_size, dilation};
  return receptive_field({&kernel, 1}) - 1;
}

}  // namespace

int64_t ahead_of(const Conv1d::Options& options, const std::string& name, const Site& site) {
  const DilatedKernel kernel{options.kernel_size, options.dilation};
  const AxisPadding& padding = options.padding.axis;
  switch (padding.rule) {
    case AxisPadding::Rule::Causal:
      return 0;
    case AxisPadding::Rule::Same:
      return look_ahead({&kernel, 1});
    case AxisPadding::Rule::Given:
      break;
  }
  const int64_t reach = reach_of(options.kernel_size, options.dilation);
  check<ValueError>(padding.after == reach - padding.before, site,
                    "[stream] {}: padding: got {}, wanted causal, same, or {} zeros in all, so "
                    "that there is an output for every element",
                    name, options.padding.to_string(), reach);
  return padding.after;
}

StridedTaps taps_of(const Conv1d::Options& options, const std::string& name, const Site& site) {
  const int64_t reach = reach_of(options.kernel_size, options.dilation);
  const AxisPadding& padding = options.padding.axis;
  if (padding.rule == AxisPadding::Rule::Causal) {
    return {.before = reach, .reach = reach};
  }
  const int64_t least = std::max(reach + 1 - options.stride, int64_t{0});
  const int64_t all = padding.before + padding.after;
  check<ValueError>(
      padding.rule == AxisPadding::Rule::Given && all >= least && all <= reach, site,
      "[stream] {}: padding: got {}, wanted causal, or {} to {} zeros in all, so that there is an "
      "output for every {} elements",
      name, options.padding.to_string(), least, reach, options.stride);
  return {.before = padding.before, .reach = reach};
}

StridedTaps taps_of(const ConvTranspose1d::Options& options, const std::string& name,
                    const Site& site) {
  const int64_t reach = reach_of(options.kernel_size, options.dilation);
  const AxisPadding& padding = options.padding.axis;
  const int64_t wanted = reach + 1 + options.output_padding - options.stride;
  check<ValueError>(padding.before + padding.after == wanted, site,
                    "[stream] {}: padding: got {}, wanted {} in all, so that there are {} outputs "
                    "for every element",
                    name, options.padding.to_string(), wanted, options.stride);
  return {.before = padding.before, .reach = reach};
}

}  // namespace warptape
