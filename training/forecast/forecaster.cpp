#include "training/forecast/forecaster.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/check.h"
#include "core/random.h"
#include "kernels/losses/losses.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/reshape/reshape.h"
#include "kernels/slice/slice.h"
#include "training/data_loader.h"
#include "training/optimizers.h"

namespace warptape::forecasting {
namespace {

// Windows that go through the model at once.
constexpr size_t most_windows = 1024;

struct NamedResidual {
  const char* name;
  Residual residual;
};
constexpr NamedResidual residual_names[] = {{"none", Residual::None},
                                            {"last", Residual::Last},
                                            {"seasonal", Residual::Seasonal},
                                            {"drift_seasonal", Residual::DriftSeasonal},
                                            {"growth", Residual::Growth}};

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

int64_t outputs_of(const ForecasterOptions& options) {
  return options.likelihood == Likelihood::Point      ? 1
         : options.likelihood == Likelihood::Gaussian ? 2
                                                      : static_cast<int64_t>(options.levels.size());
}

ForecasterOptions checked(ForecasterOptions options) {
  const std::vector<double>& levels = options.levels;
  const bool ascend = std::adjacent_find(levels.begin(), levels.end(),
                                         std::greater_equal<double>()) == levels.end();
  check<ValueError>(options.likelihood == Likelihood::Point ||
                        (ascend && std::find(levels.begin(), levels.end(), 0.5) != levels.end() &&
                         levels.front() > 0 && levels.back() < 1),
                    "[forecast] levels: got {}, wanted ascending ones above 0 and below 1, 0.5 "
                    "among them",
                    fmt::join(levels, ", "));
  check<ValueError>(options.input >= 1 && options.chunk >= 1 && options.season >= 1,
                    "[forecast] input, chunk, season: got {}, {} and {}, wanted 1 or more",
                    options.input, options.chunk, options.season);
  if (options.head == ForecastHead::Shifted) {
    options.residual = Residual::None;
    check<ValueError>(options.chunk <= options.input,
                      "[forecast] chunk: got {} of a shifted head, wanted no more than the input "
                      "of {}",
                      options.chunk, options.input);
  }
  return options;
}

std::unique_ptr<ForecastTCN> make_model(const ForecasterOptions& options, int64_t known_channels) {
  manual_seed(options.seed);
  ForecastTCN::Options model;
  model.net.channels = options.channels;
  model.net.kernel_size = options.kernel_size;
  model.net.dilation_base = options.dilation_base;
  model.net.block.dropout = options.dropout;
  model.net.block.weight_norm = options.weight_norm;
  model.net.block.residual_name = "conv3";
  model.net.block.residual_std = 0;
  model.net.block.output_activation = BlockActivation::None;
  model.known_channels = known_channels;
  model.chunk = options.chunk;
  model.outputs = outputs_of(options);
  model.head = options.head;
  model.window = options.linear_window ? options.input : 0;
  return std::make_unique<ForecastTCN>(model);
}

}  // namespace

std::string to_string(Residual residual) {
  return residual_names[static_cast<size_t>(residual)].name;
}

Residual residual(const std::string& name) {
  for (const NamedResidual& known : residual_names) {
    if (name == known.name) {
      return known.residual;
    }
  }
  throw ValueError(
      fmt::format("[forecast] residual: got \"{}\", wanted none, last, seasonal, "
                  "drift_seasonal or growth",
                  excerpt(name)));
}

const std::vector<Residual>& all_residuals() {
  static const std::vector<Residual> all = {Residual::None, Residual::Last, Residual::Seasonal,
                                            Residual::DriftSeasonal, Residual::Growth};
  return all;
}

double SeriesScale::scaled(double value) const {
  return ((log ? std::log(value) : value) - mean) / deviation;
}

double SeriesScale::original(double value) const {
  const double unscaled = value * deviation + mean;
  return log ? std::exp(unscaled) : unscaled;
}

Forecaster::Scaled Forecaster::scale(const SeriesSet& data, size_t index, int64_t rows,
                                     const ForecasterOptions& options) {
  const Series& series = data.series[index];
  const std::string name = escaped(data.path) + ": " + excerpt(series.name);
  const int64_t least = std::max(options.input, options.season) + options.chunk;
  check<ValueError>(rows >= least && rows <= series.rows(),
                    "[forecast] {}: got {} rows to learn from, wanted {} at least (input {} + "
                    "horizon {})",
                    name, rows, least, std::max(options.input, options.season), options.chunk);
  Values learnt(series.values.begin(), series.values.begin() + rows);
  Scaled scaled;
  scaled.rows = rows;
  scaled.scale.log = options.log;
  if (options.log) {
    const auto bad =
        std::find_if(series.values.begin(), series.values.end(), [](double v) { return v <= 0; });
    check<ValueError>(bad == series.values.end(),
                      "[forecast] {}: line {}: got {}, wanted values above 0 for logarithms", name,
                      series.lines[static_cast<size_t>(bad - series.values.begin())],
                      bad == series.values.end() ? 0.0 : *bad);
    std::transform(learnt.begin(), learnt.end(), learnt.begin(),
                   [](double value) { return std::log(value); });
  }
  std::tie(scaled.scale.mean, scaled.scale.deviation) = moments(learnt);
  check<ValueError>(
      scaled.scale.deviation > 0,
      "[forecast] {}: lines {} to {}: got {} in all of the {} rows to learn from, wanted a "
      "series that is not constant",
      name, series.lines.front(), series.lines[static_cast<size_t>(rows - 1)],
      series.values.front(), rows);
  for (const double value : series.values) {
    scaled.values.push_back(scaled.scale.scaled(value));
  }
  for (const std::vector<double>& channel : series.known) {
    const auto [mean, deviation] = moments(std::span(channel).first(static_cast<size_t>(rows)));
    Values values;
    for (const double value : channel) {
      values.push_back((value - mean) / (deviation > 0 ? deviation : 1));
    }
    scaled.known.push_back(std::move(values));
  }
  return scaled;
}

Forecaster::Forecaster(const SeriesSet& data, std::vector<int64_t> rows, ForecasterOptions options)
    : options_(checked(std::move(options))),
      series_([&] {
        std::vector<Scaled> all;
        for (size_t i = 0; i < data.series.size(); ++i) {
          all.push_back(scale(data, i, rows.at(i), options_));
        }
        return all;
      }()),
      windows_(make_windows()),
      model_(make_model(options_, static_cast<int64_t>(data.known_names.size()))) {
  model_->to(options_.device);
}

// The first row that can be forecast.
int64_t Forecaster::first_origin() const {
  return std::max(options_.input, options_.season);
}

Values Forecaster::base(std::span<const double> seen) const {
  const int64_t steps = options_.chunk;
  const int64_t season = options_.season;
  switch (options_.residual) {
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

void Forecaster::write_input(const Scaled& series, const Values& seen, float* to) const {
  const auto now = static_cast<int64_t>(seen.size());
  const double anchor = options_.residual == Residual::None ? 0 : seen.back();
  for (int64_t row = now - options_.input; row < now; ++row) {
    *to++ = static_cast<float>(seen[static_cast<size_t>(row)] - anchor);
  }
  to = std::fill_n(to, options_.chunk, 0.0F);
  for (const Values& channel : series.known) {
    for (int64_t row = now - options_.input; row < now + options_.chunk; ++row) {
      // Behind what is known only where a chunk is longer than what is asked for.
      const bool is_known = row < static_cast<int64_t>(channel.size());
      *to++ = is_known ? static_cast<float>(channel[static_cast<size_t>(row)]) : 0.0F;
    }
  }
}

TensorDataset Forecaster::make_windows() const {
  std::vector<float> inputs;
  std::vector<float> targets;
  int64_t count = 0;
  const auto channels = static_cast<int64_t>(series_.at(0).known.size()) + 1;
  const int64_t width = options_.input + options_.chunk;
  const bool is_shifted = options_.head == ForecastHead::Shifted;
  for (const Scaled& series : series_) {
    for (int64_t now = first_origin(); now + options_.chunk <= series.rows; ++now) {
      const Values seen(series.values.begin(), series.values.begin() + now);
      inputs.resize(inputs.size() + static_cast<size_t>(channels * width));
      write_input(series, seen, &inputs[inputs.size() - static_cast<size_t>(channels * width)]);
      const Values beside = base(seen);
      const int64_t begin = is_shifted ? now - options_.input + options_.chunk : now;
      for (int64_t row = begin; row < now + options_.chunk; ++row) {
        const double offset = is_shifted ? 0 : beside[static_cast<size_t>(row - now)];
        targets.push_back(static_cast<float>(series.values[static_cast<size_t>(row)] - offset));
      }
      ++count;
    }
  }
  return {Tensor::from_vector(inputs, {count, channels, width}),
          Tensor::from_vector(targets, {count, is_shifted ? options_.input : options_.chunk})};
}

Loss Forecaster::loss() const {
  switch (options_.likelihood) {
    case Likelihood::Point:
      return [](const Tensor& y, const Tensor& target) {
        return mse_loss(reshape(y, {y.size(0), y.size(1)}), target);
      };
    case Likelihood::Gaussian:
      return [](const Tensor& y, const Tensor& target) {
        const Tensor mean = reshape(slice(y, 2, 0, 1), {y.size(0), y.size(1)});
        const Tensor spread = reshape(slice(y, 2, 1), {y.size(0), y.size(1)});
        return gaussian_nll_loss(mean, target, softplus(spread));
      };
    case Likelihood::Quantiles:
      break;
  }
  return [levels = options_.levels](const Tensor& y, const Tensor& target) {
    return quantile_loss(y, target, levels);
  };
}

void Forecaster::train(const std::function<void(const EpochMetrics&)>& on_epoch,
                       const std::function<bool()>& should_stop) {
  manual_seed(options_.seed + 1);  // of dropout: not what the weights were drawn from
  DataLoader loader(windows_, {.batch_size = options_.batch_size,
                               .shuffle = true,
                               .seed = options_.seed,
                               .device = options_.device});
  AdamW optimizer(parameters(*model_), {.lr = options_.lr, .weight_decay = options_.weight_decay});
  TrainingCallbacks callbacks;
  if (on_epoch) {
    callbacks.on_epoch = on_epoch;
  }
  if (should_stop) {
    callbacks.should_stop = should_stop;
  }
  warptape::train(*model_, optimizer, loader,
                  {.loss = loss(), .epochs = options_.epochs, .clip_norm = 1.0}, callbacks);
}

size_t Forecaster::middle_level() const {
  const auto found = std::find(options_.levels.begin(), options_.levels.end(), 0.5);
  return static_cast<size_t>(found - options_.levels.begin());
}

Values Forecaster::levels_of(const float* numbers) const {
  Values result;
  if (options_.likelihood == Likelihood::Gaussian) {
    const double spread = numbers[1];
    // softplus, as in training
    const double variance = std::max(spread, 0.0) + std::log1p(std::exp(-std::abs(spread)));
    for (const double level : options_.levels) {
      result.push_back(numbers[0] + std::sqrt(variance) * normal_quantile(level));
    }
  } else if (options_.likelihood == Likelihood::Quantiles) {
    result.assign(numbers, numbers + options_.levels.size());
    std::sort(result.begin(), result.end());  // they may cross where there is little to learn from
  }
  return result;
}

std::vector<WindowForecast> Forecaster::forecast(const std::vector<Origin>& origins,
                                                 int64_t steps) {
  const bool was_training = model_->is_training();
  model_->eval();
  const size_t level_count = options_.likelihood == Likelihood::Point ? 0 : options_.levels.size();
  std::vector<WindowForecast> result(origins.size());
  std::vector<Values> seen;
  for (size_t i = 0; i < origins.size(); ++i) {
    const Values& values = series_.at(origins[i].series).values;
    check<ValueError>(
        origins[i].row >= first_origin() && origins[i].row <= static_cast<int64_t>(values.size()),
        "[forecast] origin: got row {}, wanted {} to {}", origins[i].row, first_origin(),
        values.size());
    seen.emplace_back(values.begin(), values.begin() + origins[i].row);
    result[i].levels.resize(level_count);
  }
  const auto channels = static_cast<int64_t>(series_[0].known.size()) + 1;
  const int64_t width = options_.input + options_.chunk;
  const auto outputs = static_cast<size_t>(outputs_of(options_));
  for (int64_t done = 0; done < steps; done += options_.chunk) {
    for (size_t begin = 0; begin < origins.size(); begin += most_windows) {
      const size_t count = std::min(most_windows, origins.size() - begin);
      Tensor input = Tensor::empty({static_cast<int64_t>(count), channels, width}, float32);
      float* const to = input.mutable_data<float>();
      for (size_t i = 0; i < count; ++i) {
        write_input(series_[origins[begin + i].series], seen[begin + i],
                    to + static_cast<int64_t>(i) * channels * width);
      }
      const Tensor y = (*model_)(input.to(options_.device)).to(cpu);
      const std::vector<float> numbers = y.to_vector<float>();
      const auto rows = static_cast<size_t>(y.size(1));
      for (size_t i = 0; i < count; ++i) {
        // The last `chunk` rows of what the model gave for this window.
        const float* row =
            &numbers[((i + 1) * rows - static_cast<size_t>(options_.chunk)) * outputs];
        const Values beside = base(seen[begin + i]);
        const SeriesScale& scale = series_[origins[begin + i].series].scale;
        for (size_t h = 0; h < beside.size(); ++h, row += outputs) {
          Values at_levels = levels_of(row);
          WindowForecast& window = result[begin + i];
          const double middle = level_count == 0 ? row[0] : at_levels[middle_level()];
          seen[begin + i].push_back(middle + beside[h]);
          if (static_cast<int64_t>(window.point.size()) == steps) {
            continue;
          }
          window.point.push_back(scale.original(middle + beside[h]));
          check(std::isfinite(window.point.back()),
                "[forecast] step {}: the model's forecast is not finite; wanted a lower lr",
                window.point.size());
          for (size_t level = 0; level < level_count; ++level) {
            window.levels[level].push_back(scale.original(at_levels[level] + beside[h]));
          }
        }
      }
    }
  }
  model_->train(was_training);
  return result;
}

}  // namespace warptape::forecasting
