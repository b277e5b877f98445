#pragma once
// A TCN that forecasts one or several series: scaling, windows, training, and forecasts from any
// row on, of all windows in one pass.

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "layers/state_dict.h"
#include "training/forecast/windows.h"
#include "training/trainer.h"

namespace warptape::forecasting {

// The values from this row on are to be forecast.
struct Origin {
  size_t series = 0;
  int64_t row = 0;
};

struct WindowForecast {
  Values point;                // of each step; the median where there are levels
  std::vector<Values> levels;  // of each level, each step; none of point forecasts
};

class Forecaster {
 public:
  // Learns from the first `rows` values of each series, by which it is scaled, too. ValueError
  // names a series that is constant there, one with values of 0 or less where logarithms are asked
  // for, and one with fewer rows than input + chunk.
  Forecaster(const SeriesSet& data, const std::vector<int64_t>& rows, ForecasterOptions options);
  // One that has learnt already, of these or other rows: its scales, one for each series, and its
  // model. It has no windows to train on. ValueError for scales or tensors that do not fit.
  Forecaster(const SeriesSet& data, const std::vector<SeriesScales>& scales, const StateDict& model,
             ForecasterOptions options);

  int64_t windows() const { return windows_ ? windows_->size() : 0; }  // to train on
  ForecastTCN& model() { return *model_; }
  const ForecasterOptions& options() const { return options_; }
  const std::vector<SeriesScales>& scales() const { return scales_; }

  // Trains options().epochs epochs; on_epoch as TrainingCallbacks has it, and may forecast.
  void train(const std::function<void(const EpochMetrics&)>& on_epoch = {},
             const std::function<bool()>& should_stop = {});

  // The next `steps` values from each origin, which has `input` rows or more before it; values
  // from there on are not read. Where steps exceed the chunk, medians are taken for what came, and
  // the levels of later chunks know nothing of how far off they are. Error if one is not finite.
  std::vector<WindowForecast> forecast(const std::vector<Origin>& origins, int64_t steps);

 private:
  size_t middle_level() const;
  // Of the numbers that the model gives for a step, the values at the levels, ascending.
  Values levels_of(const float* numbers) const;
  Loss loss() const;

  ForecasterOptions options_;
  std::vector<SeriesScales> scales_;
  std::vector<ScaledSeries> series_;
  std::optional<TensorDataset> windows_;
  std::unique_ptr<ForecastTCN> model_;
};

}  // namespace warptape::forecasting
