#include "training/task_input.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/check.h"
#include "core/primitives.h"
#include "training/permutation.h"
#include "training/task_metadata.h"

namespace warptape {
namespace {

constexpr double brightest = 255;  // of pixels

template <class T>
void fill(const double* x, const TaskInput& input, Tensor& to) {
  const int64_t channels = to.size(1);
  const int64_t steps = to.size(2);
  std::vector<int64_t> order(static_cast<size_t>(steps));
  std::iota(order.begin(), order.end(), int64_t{0});
  if (input.order_seed > 0) {
    order = random_permutation(steps, static_cast<uint64_t>(input.order_seed), Purpose::Pixels, 0);
  }
  T* line = to.mutable_data<T>();
  for (int64_t row = 0; row < to.size(0) * channels; ++row, x += steps, line += steps) {
    ChannelScale scale;
    if (input.by_sequence) {
      scale = scale_of({std::span(x, static_cast<size_t>(steps))});
    } else if (!input.channels.empty()) {
      scale = input.channels[static_cast<size_t>(row % channels)];
    }
    for (int64_t t = 0; t < steps; ++t) {
      line[t] = static_cast<T>(scale.scaled(x[order[static_cast<size_t>(t)]]));
    }
  }
}

}  // namespace

ChannelScale scale_of(const std::vector<std::span<const double>>& parts) {
  double sum = 0;
  double count = 0;
  for (const std::span<const double> part : parts) {
    sum += std::accumulate(part.begin(), part.end(), 0.0);
    count += static_cast<double>(part.size());
  }
  const double mean = sum / count;
  double squares = 0;
  for (const std::span<const double> part : parts) {
    for (const double value : part) {
      squares += (value - mean) * (value - mean);
    }
  }
  const double std = std::sqrt(squares / count);
  // A constant channel stays 0.
  return {.mean = mean, .std = std > 1e-12 * (1 + std::abs(mean)) ? std : 1};
}

std::string TaskInput::needs_whole_sequence() const {
  return by_sequence      ? "normalises each series by its own mean and deviation"
         : order_seed > 0 ? "takes pixels in an order of its own"
                          : "";
}

TaskInput task_input(const NamedTensors& checkpoint, const std::string& path) {
  TaskInput input;
  if (const auto series = series_metadata(checkpoint, path)) {
    input.by_sequence = series->normalise == "series";
    if (series->normalise == "channel") {
      for (size_t c = 0; c < series->mean.size(); ++c) {
        input.channels.push_back({.mean = series->mean[c], .std = series->std[c]});
      }
    }
  }
  if (const auto pixels = pixel_metadata(checkpoint, path)) {
    for (size_t c = 0; c < pixels->mean.size(); ++c) {
      input.channels.push_back({.unit = brightest, .mean = pixels->mean[c], .std = pixels->std[c]});
    }
    input.order_seed = pixels->permute;
    input.order_steps = pixels->steps;
  }
  return input;
}

Tensor model_input(const Tensor& x, const TaskInput& input, DType dtype) {
  check<ValueError>(input.order_seed == 0 || x.size(2) == input.order_steps,
                    "[model_input] got {} steps, wanted the {} that the model has an order of",
                    x.size(2), input.order_steps);
  if (input.channels.empty() && input.is_step_by_step()) {
    return primitives::cast(x, dtype);
  }
  const Tensor values = primitives::cast(x, float64).to(MemoryFormat::RowMajor);
  Tensor result = Tensor::empty(x.shape(), dtype);
  if (dtype == float64) {
    fill<double>(values.data<double>(), input, result);
  } else {
    fill<float>(values.data<double>(), input, result);
  }
  return result;
}

}  // namespace warptape
