#include "training/forecast/study_baselines.h"

#include <cmath>

namespace warptape::forecasting {
namespace {

std::vector<double> known_of(const Series& series, int64_t row) {
  std::vector<double> known;
  for (const std::vector<double>& channel : series.known) {
    known.push_back(channel.at(static_cast<size_t>(row)));
  }
  return known;
}

}  // namespace

Regression::Regression(const SeriesSet& data, const std::vector<int64_t>& rows, int64_t lags)
    : data_(data) {
  std::vector<LinearRegression::Row> examples;
  for (size_t i = 0; i < data.series.size(); ++i) {
    const Series& series = data.series[i];
    const auto count = static_cast<size_t>(rows[i]);
    SeriesScale scale;
    for (size_t row = 0; row < count; ++row) {
      scale.mean += series.values[row] / static_cast<double>(count);
    }
    double square = 0;
    for (size_t row = 0; row < count; ++row) {
      square += (series.values[row] - scale.mean) * (series.values[row] - scale.mean);
    }
    scale.deviation = std::sqrt(square / static_cast<double>(count));
    Values scaled;
    for (const double value : series.values) {
      scaled.push_back(scale.scaled(value));
    }
    scales_.push_back(scale);
    scaled_.push_back(std::move(scaled));
  }
  for (size_t i = 0; i < data.series.size(); ++i) {
    for (int64_t row = lags; row < rows[i]; ++row) {
      examples.push_back({std::span(scaled_[i]).first(static_cast<size_t>(row)),
                          known_of(data.series[i], row), scaled_[i][static_cast<size_t>(row)]});
    }
  }
  fitted_.emplace(lags, examples);
}

Values Regression::forecast(const Origin& origin, int64_t steps) const {
  const Values& scaled = scaled_[origin.series];
  Values seen(scaled.begin(), scaled.begin() + origin.row);
  Values result;
  for (int64_t h = 0; h < steps; ++h) {
    const std::vector<double> known = known_of(data_.series[origin.series], origin.row + h);
    seen.push_back(fitted_->next(seen, known));
    result.push_back(scales_[origin.series].original(seen.back()));
  }
  return result;
}

void add_baselines(const SeriesSet& data, int64_t steps, int64_t season,
                   const Regression* regression, StudyWindow& window) {
  const Values& values = data.series[window.origin.series].values;
  const std::span<const double> seen =
      std::span(values).first(static_cast<size_t>(window.origin.row));
  window.forecasts["naive"] = naive(seen, steps);
  window.forecasts["seasonal_naive"] = seasonal_naive(seen, steps, season);
  window.forecasts["drift_seasonal"] = drift_seasonal(seen, steps, season);
  if (regression != nullptr) {
    window.forecasts["linear_regression"] = regression->forecast(window.origin, steps);
  }
}

}  // namespace warptape::forecasting
