#include "training/forecast/windows.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>
#include <utility>

#include "core/check.h"

namespace warptape::forecasting {
namespace {

// Mean and standard deviation; the latter is 0 for what does not vary.
std::pair<double, double> moments(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double square = 0;
  for (const double value : values) {
    square += (value - mean) * (value - mean);
  }
  const bool varies = std::any_of(values.begin(), values.end(),
                                  [&](double value) { return value != values.front(); });
  return {mean, varies ? std::sqrt(square / n) : 0};
}

std::string name_of(const SeriesSet& data, size_t index) {
  return escaped(data.path) + ": " + excerpt(data.series[index].name);
}

void check_has_logarithms(const SeriesSet& data, size_t index) {
  const Series& series = data.series[index];
  const auto bad =
      std::find_if(series.values.begin(), series.values.end(), [](double v) { return v <= 0; });
  check<ValueError>(bad == series.values.end(),
                    "[forecast] {}: line {}: got {}, wanted values above 0 for logarithms",
                    name_of(data, index),
                    series.lines[static_cast<size_t>(bad - series.values.begin())],
                    bad == series.values.end() ? 0.0 : *bad);
}

}  // namespace

double SeriesScale::scaled(double value) const {
  return ((log ? std::log(value) : value) - mean) / deviation;
}

double SeriesScale::original(double value) const {
  const double unscaled = value * deviation + mean;
  return log ? std::exp(unscaled) : unscaled;
}

SeriesScales measure_scales(const SeriesSet& data, size_t index, int64_t rows,
                            const ForecasterOptions& options) {
  const Series& series = data.series[index];
  const std::string name = name_of(data, index);
  const int64_t least = first_origin(options) + options.chunk;
  check<ValueError>(rows >= least && rows <= series.rows(),
                    "[forecast] {}: got {} rows to learn from, wanted {} at least (input {} + "
                    "horizon {})",
                    name, rows, least, first_origin(options), options.chunk);
  Values learnt(series.values.begin(), series.values.begin() + rows);
  SeriesScales scales{.name = series.name, .values = {.log = options.log}};
  if (options.log) {
    check_has_logarithms(data, index);
    std::transform(learnt.begin(), learnt.end(), learnt.begin(),
                   [](double value) { return std::log(value); });
  }
  std::tie(scales.values.mean, scales.values.deviation) = moments(learnt);
  check<ValueError>(
      scales.values.deviation > 0,
      "[forecast] {}: lines {} to {}: got {} in all of the {} rows to learn from, wanted a "
      "series that is not constant",
      name, series.lines.front(), series.lines[static_cast<size_t>(rows - 1)],
      series.values.front(), rows);
  const auto measure = [&](const std::vector<std::vector<double>>& channels,
                           std::vector<SeriesScale>& to) {
    for (const std::vector<double>& channel : channels) {
      const auto [mean, deviation] = moments(std::span(channel).first(static_cast<size_t>(rows)));
      to.push_back({.mean = mean, .deviation = deviation > 0 ? deviation : 1});
    }
  };
  measure(series.known, scales.known);
  measure(series.past, scales.past);
  return scales;
}

ScaledSeries scaled_series(const SeriesSet& data, size_t index, const SeriesScales& scales) {
  const Series& series = data.series[index];
  check<ValueError>(
      scales.known.size() == series.known.size() && scales.past.size() == series.past.size(),
      "[forecast] {}: got {} covariates and {} past ones, wanted {} and {}", name_of(data, index),
      series.known.size(), series.past.size(), scales.known.size(), scales.past.size());
  if (scales.values.log) {
    check_has_logarithms(data, index);
  }
  ScaledSeries scaled{.scale = scales.values, .values = {}, .known = {}, .past = {}};
  for (const double value : series.values) {
    scaled.values.push_back(scales.values.scaled(value));
  }
  const auto scale_all = [](const std::vector<std::vector<double>>& channels,
                            const std::vector<SeriesScale>& by, std::vector<Values>& to) {
    for (size_t channel = 0; channel < channels.size(); ++channel) {
      Values values;
      for (const double value : channels[channel]) {
        values.push_back(by[channel].scaled(value));
      }
      to.push_back(std::move(values));
    }
  };
  scale_all(series.known, scales.known, scaled.known);
  scale_all(series.past, scales.past, scaled.past);
  return scaled;
}

int64_t channels_of(const ScaledSeries& series) {
  return static_cast<int64_t>(1 + series.known.size() + series.past.size());
}

int64_t first_origin(const ForecasterOptions& options) {
  return std::max(options.input, options.season);
}

Values residual_base(std::span<const double> seen, const ForecasterOptions& options) {
  const int64_t steps = options.chunk;
  const int64_t season = options.season;
  switch (options.residual) {
    case Residual::None:
      return Values(static_cast<size_t>(steps));
    case Residual::Last:
      return naive(seen, steps);
    case Residual::Seasonal:
      return seasonal_naive(seen, steps, season);
    case Residual::DriftSeasonal:
      return drift_seasonal(seen, steps, season);
    case Residual::Growth:
      break;
  }
  Values result = seasonal_naive(seen, steps, season);
  const auto lag = static_cast<size_t>(season);
  double growth = 0;
  for (size_t i = lag; i < seen.size(); ++i) {
    growth += (seen[i] - seen[i - lag]) / static_cast<double>(seen.size() - lag);
  }
  for (int64_t h = 0; h < steps; ++h) {
    result[static_cast<size_t>(h)] += growth * static_cast<double>(1 + h / season);
  }
  return result;
}

void write_window(const ScaledSeries& series, const Values& seen, const ForecasterOptions& options,
                  float* to) {
  const auto now = static_cast<int64_t>(seen.size());
  const double anchor = options.residual == Residual::None ? 0 : seen.back();
  for (int64_t row = now - options.input; row < now; ++row) {
    *to++ = static_cast<float>(seen[static_cast<size_t>(row)] - anchor);
  }
  to = std::fill_n(to, options.chunk, 0.0F);
  for (const Values& channel : series.known) {
    for (int64_t row = now - options.input; row < now + options.chunk; ++row) {
      // Behind what is known only where a chunk is longer than what is asked for.
      const bool is_known = row < static_cast<int64_t>(channel.size());
      *to++ = is_known ? static_cast<float>(channel[static_cast<size_t>(row)]) : 0.0F;
    }
  }
  for (const Values& channel : series.past) {
    for (int64_t row = now - options.input; row < now; ++row) {
      *to++ = static_cast<float>(channel[static_cast<size_t>(row)]);
    }
    to = std::fill_n(to, options.chunk, 0.0F);
  }
}

TensorDataset training_windows(const std::vector<ScaledSeries>& all,
                               const std::vector<int64_t>& rows, const ForecasterOptions& options) {
  std::vector<float> inputs;
  std::vector<float> targets;
  int64_t count = 0;
  const auto channels = channels_of(all.at(0));
  const int64_t width = options.input + options.chunk;
  const bool is_shifted = options.head == ForecastHead::Shifted;
  for (size_t i = 0; i < all.size(); ++i) {
    const ScaledSeries& series = all[i];
    for (int64_t now = first_origin(options); now + options.chunk <= rows[i]; ++now) {
      const Values seen(series.values.begin(), series.values.begin() + now);
      inputs.resize(inputs.size() + static_cast<size_t>(channels * width));
      write_window(series, seen, options,
                   &inputs[inputs.size() - static_cast<size_t>(channels * width)]);
      const Values beside = residual_base(seen, options);
      const int64_t begin = is_shifted ? now - options.input + options.chunk : now;
      for (int64_t row = begin; row < now + options.chunk; ++row) {
        const double offset = is_shifted ? 0 : beside[static_cast<size_t>(row - now)];
        targets.push_back(static_cast<float>(series.values[static_cast<size_t>(row)] - offset));
      }
      ++count;
    }
  }
  return {Tensor::from_vector(inputs, {count, channels, width}),
          Tensor::from_vector(targets, {count, is_shifted ? options.input : options.chunk})};
}

}  // namespace warptape::forecasting
