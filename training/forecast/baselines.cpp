#include "training/forecast/baselines.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/check.h"

namespace warptape::forecasting {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

void check_seen(const char* who, std::span<const double> seen, int64_t season) {
  check<ValueError>(season >= 1 && static_cast<int64_t>(seen.size()) >= season,
                    "[{}] got {} values, wanted a season of {} at least", who, seen.size(), season);
}

// Solves A x = b of a symmetric positive definite A (n x n), which is overwritten, by Cholesky.
Values solve(Values& a, Values b) {
  const size_t n = b.size();
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = a[i * n + j];
      for (size_t k = 0; k < j; ++k) {
        sum -= a[i * n + k] * a[j * n + k];
      }
      a[i * n + j] = i == j ? std::sqrt(sum) : sum / a[j * n + j];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) {
      b[i] -= a[i * n + k] * b[k];
    }
    b[i] /= a[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) {
      b[i] -= a[k * n + i] * b[k];
    }
    b[i] /= a[i * n + i];
  }
  return b;
}

Values features(std::span<const double> seen, const std::vector<double>& known, int64_t lags) {
  Values row(seen.end() - lags, seen.end());
  row.insert(row.end(), known.begin(), known.end());
  row.push_back(1);
  return row;
}

}  // namespace

Values naive(std::span<const double> seen, int64_t steps) {
  check_seen("naive", seen, 1);
  return Values(static_cast<size_t>(steps), seen.back());
}

Values seasonal_naive(std::span<const double> seen, int64_t steps, int64_t season) {
  check_seen("seasonal_naive", seen, season);
  const std::span<const double> last = seen.last(static_cast<size_t>(season));
  Values result;
  for (int64_t h = 0; h < steps; ++h) {
    result.push_back(last[static_cast<size_t>(h % season)]);
  }
  return result;
}

Values drift_seasonal(std::span<const double> seen, int64_t steps, int64_t season) {
  Values result = seasonal_naive(seen, steps, season);
  const double slope =
      seen.size() < 2 ? 0 : (seen.back() - seen.front()) / static_cast<double>(seen.size() - 1);
  for (int64_t h = 0; h < steps; ++h) {
    result[static_cast<size_t>(h)] += slope * static_cast<double>(h + 1);
  }
  return result;
}

LinearRegression::LinearRegression(int64_t lags, const std::vector<Row>& rows) : lags_(lags) {
  check<ValueError>(!rows.empty(), "[LinearRegression] got no rows, wanted one or more");
  const size_t n = static_cast<size_t>(lags) + rows[0].known.size() + 1;
  Values products(n * n);
  Values targets(n);
  for (const Row& row : rows) {
    const Values x = features(row.seen, row.known, lags);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j <= i; ++j) {
        products[i * n + j] += x[i] * x[j];
      }
      targets[i] += x[i] * row.next;
    }
  }
  // So little that it decides only what the rows leave open.
  for (size_t i = 0; i < n; ++i) {
    products[i * n + i] += 1e-8 * static_cast<double>(rows.size());
  }
  weights_ = solve(products, targets);
}

double LinearRegression::next(std::span<const double> seen,
                              const std::vector<double>& known) const {
  const Values x = features(seen, known, lags_);
  return std::inner_product(x.begin(), x.end(), weights_.begin(), 0.0);
}

int64_t find_season(std::span<const double> values, int64_t longest) {
  const auto count = static_cast<int64_t>(values.size());
  longest = longest == 0 ? count / 3 : std::min(longest, count / 2);
  if (longest < 2 || count < 8) {
    return 1;
  }
  Values x;
  for (size_t i = 1; i < values.size(); ++i) {
    x.push_back(values[i] - values[i - 1]);
  }
  const auto size = static_cast<int64_t>(x.size());
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(size);
  const auto correlation_sum = [&](int64_t lag) {
    double sum = 0;
    for (int64_t i = lag; i < size; ++i) {
      sum += (x[static_cast<size_t>(i)] - mean) * (x[static_cast<size_t>(i - lag)] - mean);
    }
    return sum;
  };
  const double variance = correlation_sum(0);
  if (!(variance > 0)) {
    return 1;
  }
  Values correlations;
  for (int64_t lag = 0; lag <= longest + 1; ++lag) {
    // By as many products as there are, so that a season is not favoured over its multiples.
    correlations.push_back(lag >= size
                               ? 0
                               : correlation_sum(lag) / variance * static_cast<double>(size) /
                                     static_cast<double>(size - lag));
  }
  // Of long series any small correlation is no accident, yet none that a forecast could lean on.
  const double least = std::max(0.35, 3 / std::sqrt(static_cast<double>(size)));
  std::vector<int64_t> peaks;
  double highest = least;
  for (int64_t lag = 2; lag <= longest; ++lag) {
    const double here = correlations[static_cast<size_t>(lag)];
    if (here > least && here >= correlations[static_cast<size_t>(lag - 1)] &&
        here >= correlations[static_cast<size_t>(lag + 1)]) {
      peaks.push_back(lag);
      highest = std::max(highest, here);
    }
  }
  // Of a season and its multiples, which are about as high, the season itself.
  for (const int64_t lag : peaks) {
    if (correlations[static_cast<size_t>(lag)] >= 0.8 * highest) {
      return lag;
    }
  }
  return 1;
}

void ErrorSums::add(double actual, double forecast, double scale) {
  const double error = std::abs(actual - forecast);
  const double size = std::abs(actual) + std::abs(forecast);
  percent_ += actual == 0 ? nan : 100 * error / std::abs(actual);
  symmetric_ += size == 0 ? 0 : 200 * error / size;
  absolute_ += error;
  square_ += error * error;
  scaled_ += error / scale;
  ++count_;
}

Errors ErrorSums::mean() const {
  const auto n = static_cast<double>(count_);
  return {.mape = percent_ / n,
          .smape = symmetric_ / n,
          .mae = absolute_ / n,
          .rmse = std::sqrt(square_ / n),
          .mase = scaled_ / n};
}

double seasonal_scale(std::span<const double> values, int64_t season) {
  const auto lag = static_cast<size_t>(season);
  if (values.size() <= lag) {
    return nan;
  }
  double sum = 0;
  for (size_t i = lag; i < values.size(); ++i) {
    sum += std::abs(values[i] - values[i - lag]);
  }
  return sum == 0 ? nan : sum / static_cast<double>(values.size() - lag);
}

// Bisection of the error function: exact to the last bits, and quick enough for a few levels.
double normal_quantile(double probability) {
  double low = -40;
  double high = 40;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < probability ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace warptape::forecasting
