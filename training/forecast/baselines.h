#pragma once
// What any forecast has to be compared with, the season of a series, and errors of forecasts.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace warptape::forecasting {

using Values = std::vector<double>;

// The next `steps` values by what was seen so far, one or more. season: its length in rows, 1 for
// none.
//   naive: the last value
//   seasonal_naive: the values of the last season, again and again
//   drift_seasonal: the same, and the slope from the first value to the last one for every step
//     (Darts' NaiveSeasonal + NaiveDrift - last value)
// ValueError for fewer values than a season.
Values naive(std::span<const double> seen, int64_t steps);
Values seasonal_naive(std::span<const double> seen, int64_t steps, int64_t season);
Values drift_seasonal(std::span<const double> seen, int64_t steps, int64_t season);

// The next value as a linear function of the last `lags` ones, and of what is known of its row:
// least squares over all windows of all series, each series scaled by its own mean and deviation.
class LinearRegression {
 public:
  struct Row {
    std::span<const double> seen;  // `lags` values or more, already scaled
    std::vector<double> known;     // of the next row
    double next = 0;
  };
  // The smallest solution where there are fewer rows than numbers to find. ValueError for no rows.
  LinearRegression(int64_t lags, const std::vector<Row>& rows);
  double next(std::span<const double> seen, const std::vector<double>& known) const;
  int64_t lags() const { return lags_; }

 private:
  int64_t lags_;
  Values weights_;  // of the lags, oldest first; of what is known; the constant
};

// The lag from 2 to `longest` at which the series, freed of its trend by differences, is most like
// itself; 1 where no correlation there is a local maximum above 0.35 and three standard errors.
// Multiples of a season do not count. 0 for longest: a third of the values.
int64_t find_season(std::span<const double> values, int64_t longest = 0);

// Of forecasts beside what came, over all values.
struct Errors {
  double mape = 0;   // percent; NaN where a value is 0
  double smape = 0;  // percent, 0 to 200
  double mae = 0;
  double rmse = 0;
  double mase = 0;  // absolute errors by the mean one of the seasonal forecast in training
};

// Adds up errors, value by value.
class ErrorSums {
 public:
  void add(double actual, double forecast, double scale);
  Errors mean() const;

 private:
  double percent_ = 0;
  double symmetric_ = 0;
  double absolute_ = 0;
  double square_ = 0;
  double scaled_ = 0;
  int64_t count_ = 0;
};

// What mase divides by: the mean |y[t] - y[t - season]| of these values; NaN where there are too
// few, or where that is 0.
double seasonal_scale(std::span<const double> values, int64_t season);

// The value below which a standard normal one is with this probability, above 0 and below 1.
double normal_quantile(double probability);

}  // namespace warptape::forecasting
