#pragma once
// What a study says, for programs and for people.

#include <map>
#include <string>

#include "training/forecast/study.h"

namespace warptape::forecasting {

// report.json: {"mape": {"tcn": {"median", "min", "max"}, "naive": ..., "seasonal_naive": ...,
// "drift_seasonal": ..., "linear_regression": ...}, the same for "smape", "mae", "rmse" and "mase",
// and the options, the series, the windows, what was tried, and the errors of each seed}. A number
// that does not exist, such as a mape beside values of 0, is null.
std::string report_json(const SeriesSet& data, const Study& study);

// forecast.csv: a row per series, window and step; behind the last row of a series `actual` is
// empty. Forecasts of the TCN are medians over the seeds. Baselines are those that the windows
// have.
std::string forecast_csv(const SeriesSet& data, const Study& study);

// One self-contained page, well-formed XML, with plots in SVG.
std::string forecast_page(const SeriesSet& data, const Study& study);

}  // namespace warptape::forecasting
