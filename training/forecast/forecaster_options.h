#pragma once
// What a forecaster of series is.

#include <string>
#include <vector>

#include "core/device/device.h"
#include "models/forecast_tcn.h"

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

// Numbers that the model gives for a value: 1, 2, or one for each level.
int64_t outputs_of(const ForecasterOptions& options);

// ValueError names the option. A shifted head has no residual.
ForecasterOptions checked(ForecasterOptions options);

}  // namespace warptape::forecasting
