#pragma once
// A TCN that forecasts one or several series: scaling, windows, training, and forecasts from any
// row on, of all windows in one pass.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/forecast_tcn.h"
#include "training/forecast/baselines.h"
#include "training/forecast/series.h"
#include "training/tensor_dataset.h"
#include "training/trainer.h"

namespace warptape::forecasting {

// What a direct head adds its output to, made of the values before the window's end:
//   none
//   last: the last value, so that the model sees and gives differences from it
//   seasonal, drift_seasonal: the forecasts of that name (baselines.h)
//   growth: the last season, and the mean growth per season of all values before for each season
//     that has passed
// But for `none` the model sees its window as differences from the window's last value, too: what
// it has learnt holds at any level.
enum class Residual { None, Last, Seasonal, DriftSeasonal, Growth };

std::string to_string(Residual residual);
Residual residual(const std::string& name);  // ValueError lists the names
const std::vector<Residual>& all_residuals();

struct ForecasterOptions {
  int64_t input = 24;  // rows of a window
  int64_t chunk = 12;  // rows that the model gives at once; more of them by its own forecasts
  int64_t season = 1;  // rows; 1 for none
  bool log = false;    // works on the logarithms of values, all above 0
  Residual residual = Residual::DriftSeasonal;  // of a direct head; a shifted one has none
  ForecastHead head = ForecastHead::Direct;
  Likelihood likelihood = Likelihood::Point;
  std::vector<double> levels = {0.1, 0.5, 0.9};  // of quantiles, ascending, 0.5 among them
  std::vector<int64_t> channels = {8, 8, 8};     // of each block
  int64_t kernel_size = 3;
  int64_t dilation_base = 2;
  double dropout = 0.1;
  bool weight_norm = false;
  bool linear_window = true;  // a linear function of the window beside a direct head
  int64_t epochs = 200;
  int64_t batch_size = 32;
  double lr = 2e-3;
  double weight_decay = 1;  // of AdamW: towards what the model adds to
  uint64_t seed = 0;
  Device device = cpu;
};

// The values from this row on are to be forecast.
struct Origin {
  size_t series = 0;
  int64_t row = 0;
};

struct WindowForecast {
  Values point;                // of each step; the median where there are levels
  std::vector<Values> levels;  // of each level, each step; none of point forecasts
};

// How a series is scaled: the logarithm if asked for, then mean 0 and deviation 1 in training.
struct SeriesScale {
  bool log = false;
  double mean = 0;
  double deviation = 1;

  double scaled(double value) const;
  double original(double value) const;
};

class Forecaster {
 public:
  // Learns from the first `rows` values of each series, by which it is scaled, too. ValueError
  // names a series that is constant there, one with values of 0 or less where logarithms are asked
  // for, and one with fewer rows than input + chunk.
  Forecaster(const SeriesSet& data, std::vector<int64_t> rows, ForecasterOptions options);

  int64_t windows() const { return windows_.size(); }  // to train on
  ForecastTCN& model() { return *model_; }
  const ForecasterOptions& options() const { return options_; }

  // Trains options().epochs epochs; on_epoch as TrainingCallbacks has it, and may forecast.
  void train(const std::function<void(const EpochMetrics&)>& on_epoch = {},
             const std::function<bool()>& should_stop = {});

  // The next `steps` values from each origin, which has `input` rows or more before it; values
  // from there on are not read. Where steps exceed the chunk, medians are taken for what came, and
  // the levels of later chunks know nothing of how far off they are. Error if one is not finite.
  std::vector<WindowForecast> forecast(const std::vector<Origin>& origins, int64_t steps);

 private:
  struct Scaled {
    SeriesScale scale;
    Values values;              // all of them
    std::vector<Values> known;  // of each channel
    int64_t rows = 0;           // to learn from
  };
  static Scaled scale(const SeriesSet& data, size_t index, int64_t rows,
                      const ForecasterOptions& options);
  int64_t first_origin() const;
  TensorDataset make_windows() const;
  // What the model takes, of what has been seen: values up to the origin and forecasts behind it.
  void write_input(const Scaled& series, const Values& seen, float* to) const;
  Values base(std::span<const double> seen) const;
  size_t middle_level() const;
  // Of the numbers that the model gives for a step, the values at the levels, ascending.
  Values levels_of(const float* numbers) const;
  Loss loss() const;

  ForecasterOptions options_;
  std::vector<Scaled> series_;
  TensorDataset windows_;
  std::unique_ptr<ForecastTCN> model_;
};

}  // namespace warptape::forecasting
