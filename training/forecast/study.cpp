#include "training/forecast/study.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <mutex>

#include "core/check.h"
#include "training/forecast/choice.h"
#include "training/forecast/seeds.h"
#include "training/forecast/study_baselines.h"
#include "training/side_by_side.h"

namespace warptape::forecasting {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// Fills in what is left open, but for what is chosen by trials.
void complete(const SeriesSet& data, StudyOptions& options, std::vector<int64_t>& train_rows) {
  check<ValueError>(options.horizon >= 1 && options.stride >= 1 && options.seeds >= 1,
                    "[forecast] horizon, stride, seeds: got {}, {} and {}, wanted 1 or more",
                    options.horizon, options.stride, options.seeds);
  options.test = options.test.value_or(options.horizon);
  check<ValueError>(*options.test >= options.horizon,
                    "[forecast] test: got {} rows, wanted the horizon of {} at least",
                    *options.test, options.horizon);
  for (const Series& series : data.series) {
    const int64_t rows = options.train.value_or(series.rows() - *options.test);
    check<ValueError>(rows >= 1 && rows + *options.test <= series.rows(),
                      "[forecast] {}: {}: got {} rows, wanted more than the {} of the test part "
                      "(input + horizon in all at least)",
                      escaped(data.path), excerpt(series.name), series.rows(),
                      *options.test + options.train.value_or(0));
    train_rows.push_back(rows);
  }
  const int64_t shortest = *std::min_element(train_rows.begin(), train_rows.end());
  if (!options.season) {
    const Values& values = data.series[0].values;
    options.season = find_season(std::span(values).first(static_cast<size_t>(train_rows[0])));
    options.season = *options.season * 3 <= shortest ? *options.season : 1;
  }
  const int64_t season = std::max<int64_t>(1, *options.season);
  options.season = season;
  const int64_t least_chunk = data.past_names.empty()
                                  ? std::min(options.horizon, season > 1 ? season : int64_t{12})
                                  : options.horizon;
  if (!options.input) {
    const int64_t wished = season > 1 ? 2 * season : 24;
    const int64_t rest = shortest - options.chunk.value_or(least_chunk);
    options.input = std::clamp(std::min(wished, rest / 2), std::max<int64_t>(1, season), wished);
    if (options.model.head == ForecastHead::Shifted) {
      options.input = std::max(*options.input, options.chunk.value_or(least_chunk));
    }
  }
  if (!options.chunk && !data.past_names.empty()) {
    options.chunk = options.horizon;
  }
  check<ValueError>(data.past_names.empty() || *options.chunk >= options.horizon,
                    "[forecast] chunk: got {} with past covariates, wanted the horizon of {}: "
                    "behind a chunk they are not known",
                    options.chunk.value_or(0), options.horizon);
  if (!options.chunk) {
    const int64_t windows = shortest - std::max(*options.input, season) - options.horizon + 1;
    const bool is_enough =
        windows >= std::max<int64_t>(12, 2 * season) && options.model.head == ForecastHead::Direct;
    options.chunk = is_enough ? options.horizon : least_chunk;
  }
  ForecasterOptions& model = options.model;
  model.season = season;
  model.chunk = *options.chunk;
  model.input = *options.input;
  for (size_t i = 0; i < train_rows.size(); ++i) {
    const int64_t least = std::max(model.input, season) + model.chunk;
    check<ValueError>(train_rows[i] >= least,
                      "[forecast] {}: {}: got {} rows without the test part of {}, wanted {} at "
                      "least (input {} + horizon {})",
                      escaped(data.path), excerpt(data.series[i].name), train_rows[i],
                      *options.test, least, std::max(model.input, season), model.chunk);
  }
}

// Beside what came: errors of one method over all windows.
Errors errors_of(const std::vector<StudyWindow>& windows, const Values& scales,
                 const std::function<const Values&(const StudyWindow&)>& forecast) {
  ErrorSums sums;
  for (const StudyWindow& window : windows) {
    const Values& values = forecast(window);
    for (size_t h = 0; h < window.actual.size(); ++h) {
      sums.add(window.actual[h], values[h], scales[window.origin.series]);
    }
  }
  return sums.mean();
}

// Of one seed: how many values lie between its outermost levels, and its mean pinball loss.
void judge_levels(const std::vector<StudyWindow>& windows,
                  const std::vector<WindowForecast>& forecasts, const std::vector<double>& levels,
                  Study& study) {
  double inside = 0;
  double pinball = 0;
  double count = 0;
  for (size_t i = 0; i < windows.size(); ++i) {
    for (size_t h = 0; h < windows[i].actual.size(); ++h) {
      const double actual = windows[i].actual[h];
      const std::vector<Values>& at = forecasts[i].levels;
      inside += at.front()[h] <= actual && actual <= at.back()[h] ? 1 : 0;
      for (size_t level = 0; level < levels.size(); ++level) {
        const double under = actual - at[level][h];
        pinball += std::max(levels[level] * under, (levels[level] - 1) * under) /
                   static_cast<double>(levels.size());
      }
      ++count;
    }
  }
  study.coverage.push_back(inside / count);
  study.pinball.push_back(pinball / count);
}

}  // namespace

const std::vector<std::string>& baseline_names() {
  static const std::vector<std::string> names = {"naive", "seasonal_naive", "drift_seasonal",
                                                 "linear_regression"};
  return names;
}

Spread spread_of(std::vector<double> values) {
  if (std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); })) {
    return {nan, nan, nan};
  }
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  return {median_of(values), *min, *max};
}

Study run_study(const SeriesSet& data, StudyOptions options, const StudyCallbacks& callbacks) {
  Study study;
  complete(data, options, study.train_rows);
  study.trials = choose(data, options, study.train_rows, callbacks);
  options.model.residual = *options.residual;
  options.model.log = *options.log;
  options.model.epochs = *options.epochs;
  study.options = options;

  std::vector<Origin> tested;
  std::vector<Origin> ahead;
  Values scales;
  for (size_t i = 0; i < data.series.size(); ++i) {
    const Series& series = data.series[i];
    add_origins(tested, i, study.train_rows[i], study.train_rows[i] + *options.test,
                options.horizon, options.stride);
    if (!options.train && (series.known.empty() || series.known_ahead() >= options.horizon)) {
      ahead.push_back({i, series.rows()});
    }
    scales.push_back(seasonal_scale(
        std::span(series.values).first(static_cast<size_t>(study.train_rows[i])), *options.season));
  }
  const Regression regression(data, study.train_rows, options.model.input);
  for (const Origin& origin : tested) {
    const auto from = data.series[origin.series].values.begin() + origin.row;
    StudyWindow window{.origin = origin, .actual = Values(from, from + options.horizon)};
    add_baselines(data, options.horizon, *options.season, &regression, window);
    study.windows.push_back(std::move(window));
  }
  for (const Origin& origin : ahead) {
    StudyWindow window{.origin = origin};
    add_baselines(data, options.horizon, *options.season, &regression, window);
    study.future.push_back(std::move(window));
  }
  for (const std::string& name : baseline_names()) {
    study.baselines[name] = errors_of(
        study.windows, scales,
        [&](const StudyWindow& window) -> const Values& { return window.forecasts.at(name); });
  }

  const auto count = static_cast<size_t>(options.seeds);
  OfSeeds of_tested(count);
  OfSeeds of_ahead(count);
  study.seconds.resize(count);
  study.tcn.resize(count);
  study.models.resize(count);
  std::mutex mutex;
  run_side_by_side(options.seeds, options.jobs, options.model.device, [&](int64_t seed) {
    const auto at = static_cast<size_t>(seed);
    ForecasterOptions model = options.model;
    model.seed = options.seed + static_cast<uint64_t>(seed);
    Forecaster forecaster(data, study.train_rows, model);
    const auto begin = std::chrono::steady_clock::now();
    forecaster.train({}, callbacks.should_stop);
    check_running(callbacks);
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    study.seconds[at] = passed.count();
    of_tested[at] = forecaster.forecast(tested, options.horizon);
    if (!ahead.empty()) {
      of_ahead[at] = forecaster.forecast(ahead, options.horizon);
    }
    ErrorSums sums;
    for (size_t i = 0; i < tested.size(); ++i) {
      for (size_t h = 0; h < of_tested[at][i].point.size(); ++h) {
        sums.add(study.windows[i].actual[h], of_tested[at][i].point[h], scales[tested[i].series]);
      }
    }
    study.tcn[at] = sums.mean();
    for (const auto& [key, value] : state_dict(forecaster.model())) {
      study.models[at].emplace_back(key, value.detach().to(cpu).clone());
    }
    const std::lock_guard lock(mutex);
    if (seed == 0) {
      study.training_windows = forecaster.windows();
      study.scales = forecaster.scales();
      study.parameters = count_parameters(forecaster.model());
      study.receptive_field = forecaster.model().receptive_field();
      study.model = to_string(forecaster.model());
    }
    callbacks.on_seed(seed, study.tcn[at]);
  });
  add_tcn(study.windows, of_tested);
  if (!ahead.empty()) {
    add_tcn(study.future, of_ahead);
  }
  if (options.model.likelihood != Likelihood::Point) {
    for (const std::vector<WindowForecast>& seed : of_tested) {
      judge_levels(study.windows, seed, options.model.levels, study);
    }
  }
  return study;
}

}  // namespace warptape::forecasting
