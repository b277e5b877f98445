#include "training/forecast/choice.h"

#include <algorithm>
#include <limits>

#include "core/check.h"
#include "training/side_by_side.h"

namespace warptape::forecasting {
namespace {

bool all_above_zero(const SeriesSet& data) {
  return std::all_of(data.series.begin(), data.series.end(), [](const Series& series) {
    return std::all_of(series.values.begin(), series.values.end(),
                       [](double value) { return value > 0; });
  });
}

double error_of(const SeriesSet& data, const std::vector<Origin>& origins,
                const std::vector<WindowForecast>& forecasts, bool in_percent) {
  ErrorSums sums;
  for (size_t i = 0; i < origins.size(); ++i) {
    const Values& values = data.series[origins[i].series].values;
    for (size_t h = 0; h < forecasts[i].point.size(); ++h) {
      sums.add(values[static_cast<size_t>(origins[i].row) + h], forecasts[i].point[h], 1);
    }
  }
  return in_percent ? sums.mean().mape : sums.mean().mae;
}

}  // namespace

void add_origins(std::vector<Origin>& origins, size_t series, int64_t begin, int64_t end,
                 int64_t steps, int64_t stride) {
  for (int64_t row = begin; row + steps <= end; row += stride) {
    origins.push_back({series, row});
  }
}

void check_running(const StudyCallbacks& callbacks) {
  check(!callbacks.should_stop(), "[forecast] ended by a signal; nothing was written");
}

std::vector<Trial> choose(const SeriesSet& data, StudyOptions& options,
                          const std::vector<int64_t>& train_rows, const StudyCallbacks& callbacks) {
  const bool may_log = !options.log && all_above_zero(data);
  const bool is_direct = options.model.head == ForecastHead::Direct;
  std::vector<Residual> residuals;
  if (!is_direct) {
    residuals = {Residual::None};
  } else if (options.residual) {
    residuals = {*options.residual};
  } else if (*options.season > 1) {
    residuals = {Residual::Seasonal, Residual::Last, Residual::DriftSeasonal, Residual::Growth};
  } else {
    residuals = {Residual::Last, Residual::DriftSeasonal};
  }
  std::vector<Trial> trials;
  for (const Residual residual : residuals) {
    for (const bool log : may_log ? std::vector<bool>{false, true}
                                  : std::vector<bool>{options.log.value_or(false)}) {
      trials.push_back({.residual = residual, .log = log});
    }
  }
  if (options.epochs && trials.size() == 1) {
    options.residual = trials[0].residual;
    options.log = trials[0].log;
    return {};
  }
  // Rows to learn from here: those before the windows; a third of them at least stays. Windows are
  // no longer than a season, so that enough of them are left to learn from.
  const int64_t season = *options.season;
  ForecasterOptions tried = options.model;
  tried.chunk = std::min(tried.chunk, season > 1 ? season : int64_t{12});
  const int64_t steps = tried.chunk;
  std::vector<int64_t> rows;
  std::vector<Origin> origins;
  for (const int64_t train : train_rows) {
    const int64_t least = std::max(std::max(tried.input, season) + tried.chunk, train / 3);
    rows.push_back(std::max(least, train - steps - season + 1));
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    add_origins(origins, i, rows[i], train_rows[i], steps, 1);
  }
  if (origins.empty()) {
    options.residual = trials[0].residual;
    options.log = false;
    options.epochs = options.epochs.value_or(options.max_epochs);
    return {};
  }
  const bool in_percent = all_above_zero(data);
  const int64_t step = options.epochs_step;
  const int64_t epochs = options.epochs.value_or(options.max_epochs);
  const auto seeds = std::min(options.choice_seeds, options.seeds);
  std::vector<std::vector<Values>> errors(trials.size(),
                                          std::vector<Values>(static_cast<size_t>(seeds)));
  run_side_by_side(static_cast<int64_t>(trials.size()) * seeds, options.jobs, options.model.device,
                   [&](int64_t i) {
                     const auto trial = static_cast<size_t>(i / seeds);
                     ForecasterOptions model = tried;
                     model.residual = trials[trial].residual;
                     model.log = trials[trial].log;
                     model.epochs = epochs;
                     model.seed = options.seed + static_cast<uint64_t>(i % seeds);
                     Forecaster forecaster(data, rows, model);
                     Values& curve = errors[trial][static_cast<size_t>(i % seeds)];
                     forecaster.train(
                         [&](const EpochMetrics& epoch) {
                           const bool is_asked = epoch.epoch == epochs ||
                                                 (!options.epochs && epoch.epoch % step == 0);
                           if (is_asked) {
                             curve.push_back(error_of(
                                 data, origins, forecaster.forecast(origins, steps), in_percent));
                           }
                         },
                         callbacks.should_stop);
                     check_running(callbacks);
                   });
  for (size_t trial = 0; trial < trials.size(); ++trial) {
    trials[trial].error = std::numeric_limits<double>::infinity();
    for (size_t at = 0; at < errors[trial][0].size(); ++at) {
      double mean = 0;
      for (const Values& curve : errors[trial]) {
        mean += curve[at] / static_cast<double>(seeds);
      }
      if (mean < trials[trial].error) {
        trials[trial].error = mean;
        trials[trial].epochs =
            std::min(epochs, options.epochs.value_or(static_cast<int64_t>(at + 1) * step));
      }
    }
    callbacks.on_trial(trials[trial]);
  }
  const auto best =
      std::min_element(trials.begin(), trials.end(),
                       [](const Trial& a, const Trial& b) { return a.error < b.error; });
  options.residual = best->residual;
  options.log = best->log;
  options.epochs = best->epochs;
  return trials;
}

}  // namespace warptape::forecasting
