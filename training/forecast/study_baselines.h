#pragma once
// The baselines of a study (study.h).

#include <optional>
#include <vector>

#include "training/forecast/study.h"

namespace warptape::forecasting {

// Linear regression of one row on those before it, and forecasts by its own forecasts.
class Regression {
 public:
  // Learns from the first rows[i] values of series i.
  Regression(const SeriesSet& data, const std::vector<int64_t>& rows, int64_t lags);
  Values forecast(const Origin& origin, int64_t steps) const;

 private:
  const SeriesSet& data_;
  std::vector<SeriesScale> scales_;
  std::vector<Values> scaled_;
  std::optional<LinearRegression> fitted_;
};

// Those that learn nothing, and the regression where there is one.
void add_baselines(const SeriesSet& data, int64_t steps, int64_t season,
                   const Regression* regression, StudyWindow& window);

}  // namespace warptape::forecasting
