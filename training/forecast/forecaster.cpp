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

// What is known up to now alone stands beside no target, which a shifted head's early steps are.
void check_past(const SeriesSet& data, const ForecasterOptions& options) {
  check<ValueError>(data.past_names.empty() || options.head == ForecastHead::Direct,
                    "[forecast] past covariates: got a shifted head, wanted a direct one");
}

}  // namespace

Forecaster::Forecaster(const SeriesSet& data, const std::vector<int64_t>& rows,
                       ForecasterOptions options)
    : options_(checked(std::move(options))) {
  check_past(data, options_);
  for (size_t i = 0; i < data.series.size(); ++i) {
    scales_.push_back(measure_scales(data, i, rows.at(i), options_));
    series_.push_back(scaled_series(data, i, scales_.back()));
  }
  windows_ = training_windows(series_, rows, options_);
  model_ = make_model(options_, channels_of(series_.at(0)) - 1);
  model_->to(options_.device);
}

Forecaster::Forecaster(const SeriesSet& data, const std::vector<SeriesScales>& scales,
                       const StateDict& model, ForecasterOptions options)
    : options_(checked(std::move(options))), scales_(scales) {
  check<ValueError>(scales.size() == data.series.size(),
                    "[forecast] scales: got {}, wanted one for each of {} series", scales.size(),
                    data.series.size());
  for (size_t i = 0; i < data.series.size(); ++i) {
    series_.push_back(scaled_series(data, i, scales[i]));
  }
  model_ = make_model(options_, channels_of(series_.at(0)) - 1);
  load_state_dict(*model_, model);
  model_->to(options_.device);
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
  check<ValueError>(windows_.has_value(),
                    "[forecast] train: got a forecaster that has learnt, wanted one with rows");
  manual_seed(options_.seed + 1);  // of dropout: not what the weights were drawn from
  DataLoader loader(*windows_, {.batch_size = options_.batch_size,
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
  check<ValueError>(series_.at(0).past.empty() || steps <= options_.chunk,
                    "[forecast] steps: got {} with past covariates, wanted no more than the chunk "
                    "of {}: behind it they are not known",
                    steps, options_.chunk);
  const size_t level_count = options_.likelihood == Likelihood::Point ? 0 : options_.levels.size();
  std::vector<WindowForecast> result(origins.size());
  std::vector<Values> seen;
  for (size_t i = 0; i < origins.size(); ++i) {
    const Values& values = series_.at(origins[i].series).values;
    check<ValueError>(origins[i].row >= first_origin(options_) &&
                          origins[i].row <= static_cast<int64_t>(values.size()),
                      "[forecast] origin: got row {}, wanted {} to {}", origins[i].row,
                      first_origin(options_), values.size());
    seen.emplace_back(values.begin(), values.begin() + origins[i].row);
    result[i].levels.resize(level_count);
  }
  const auto channels = channels_of(series_[0]);
  const int64_t width = options_.input + options_.chunk;
  const auto outputs = static_cast<size_t>(outputs_of(options_));
  for (int64_t done = 0; done < steps; done += options_.chunk) {
    for (size_t begin = 0; begin < origins.size(); begin += most_windows) {
      const size_t count = std::min(most_windows, origins.size() - begin);
      Tensor input = Tensor::empty({static_cast<int64_t>(count), channels, width}, float32);
      float* const to = input.mutable_data<float>();
      for (size_t i = 0; i < count; ++i) {
        write_window(series_[origins[begin + i].series], seen[begin + i], options_,
                     to + static_cast<int64_t>(i) * channels * width);
      }
      const Tensor y = (*model_)(input.to(options_.device)).to(cpu);
      const std::vector<float> numbers = y.to_vector<float>();
      const auto rows = static_cast<size_t>(y.size(1));
      for (size_t i = 0; i < count; ++i) {
        // The last `chunk` rows of what the model gave for this window.
        const float* row =
            &numbers[((i + 1) * rows - static_cast<size_t>(options_.chunk)) * outputs];
        const Values beside = residual_base(seen[begin + i], options_);
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
