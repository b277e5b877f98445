#pragma once
// Series as a forecasting model takes them: scaled, in windows that end at a row.

#include <string>
#include <vector>

#include "training/forecast/baselines.h"
#include "training/forecast/forecaster_options.h"
#include "training/forecast/series.h"
#include "training/tensor_dataset.h"

namespace warptape::forecasting {

// How numbers are scaled: the logarithm if asked for, then mean 0 and deviation 1 in training.
struct SeriesScale {
  bool log = false;
  double mean = 0;
  double deviation = 1;

  double scaled(double value) const;
  double original(double value) const;
};

// Of a series by its name, and of each channel of what is known of its rows.
struct SeriesScales {
  std::string name;
  SeriesScale values;
  std::vector<SeriesScale> known = {};
  std::vector<SeriesScale> past = {};  // of each channel that is known up to now alone
};

// By the first `rows` values. ValueError names a series that is constant there, one with values of
// 0 or less where logarithms are asked for, and one with fewer rows than input + chunk.
SeriesScales measure_scales(const SeriesSet& data, size_t index, int64_t rows,
                            const ForecasterOptions& options);

struct ScaledSeries {
  SeriesScale scale;
  Values values;              // all of them
  std::vector<Values> known;  // of each channel
  std::vector<Values> past;   // likewise, for the rows that have a value
};

// ValueError for values of 0 or less where logarithms are asked for.
ScaledSeries scaled_series(const SeriesSet& data, size_t index, const SeriesScales& scales);

// The value, what is known, and what is known up to now.
int64_t channels_of(const ScaledSeries& series);

// The first row that can be forecast.
int64_t first_origin(const ForecasterOptions& options);

// What the model adds to, of what has been seen: options.chunk values.
Values residual_base(std::span<const double> seen, const ForecasterOptions& options);

// What the model takes, (channels, input + chunk), of what has been seen: values up to the origin
// and forecasts behind it; what is known of all these rows; what is known up to the origin alone,
// which no forecast lies behind then, and 0 behind it.
void write_window(const ScaledSeries& series, const Values& seen, const ForecasterOptions& options,
                  float* to);

// All windows whose values lie in the first rows[i] of series i: inputs and targets.
TensorDataset training_windows(const std::vector<ScaledSeries>& series,
                               const std::vector<int64_t>& rows, const ForecasterOptions& options);

}  // namespace warptape::forecasting
