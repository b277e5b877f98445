#include "training/study/statistics.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "core/check.h"

namespace warptape::weight_norm_study {
namespace {

Interval around(double centre, double half_width) {
  return {centre - half_width, centre + half_width};
}

}  // namespace

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double std_of(std::span<const double> values) {
  if (values.size() < 2) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const double mean = mean_of(values);
  double sum = 0;
  for (const double value : values) {
    sum += (value - mean) * (value - mean);
  }
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

double student_t_cdf(double t, int64_t degrees) {
  check<ValueError>(degrees >= 1, "[student_t_cdf] degrees: got {}, wanted 1 or more", degrees);
  const double angle = std::atan(t / std::sqrt(static_cast<double>(degrees)));
  const double cosine = std::cos(angle);
  // Of an even number 1 + 1/2 c^2 + (1 3)/(2 4) c^4 + ..., of an odd one c + 2/3 c^3 + ...
  const bool is_odd = degrees % 2 == 1;
  double term = is_odd ? cosine : 1;
  double sum = degrees == 1 ? 0 : term;
  for (int64_t k = is_odd ? 3 : 2; k <= degrees - 2; k += 2) {
    term *= cosine * cosine * static_cast<double>(k - 1) / static_cast<double>(k);
    sum += term;
  }
  const double within =
      is_odd ? 2 / std::numbers::pi * (angle + std::sin(angle) * sum) : std::sin(angle) * sum;
  return 0.5 + within / 2;
}

double student_t_quantile(double probability, int64_t degrees) {
  check<ValueError>(probability > 0 && probability < 1,
                    "[student_t_quantile] probability: got {}, wanted a number between 0 and 1",
                    probability);
  double low = -1;
  double high = 1;
  while (student_t_cdf(low, degrees) > probability) {
    low *= 2;
  }
  while (student_t_cdf(high, degrees) < probability) {
    high *= 2;
  }
  for (int step = 0; step < 200; ++step) {
    const double middle = (low + high) / 2;
    (student_t_cdf(middle, degrees) < probability ? low : high) = middle;
  }
  return (low + high) / 2;
}

std::optional<PairedDifference> paired_difference(std::span<const double> a,
                                                  std::span<const double> b) {
  check<ValueError>(a.size() == b.size(), "[paired_difference] got {} and {} values, wanted pairs",
                    a.size(), b.size());
  std::vector<double> differences;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isfinite(a[i]) && std::isfinite(b[i])) {
      differences.push_back(a[i] - b[i]);
    }
  }
  if (differences.empty()) {
    return std::nullopt;
  }
  const auto n = static_cast<double>(differences.size());
  PairedDifference result{.pairs = static_cast<int64_t>(differences.size()),
                          .mean = mean_of(differences)};
  if (differences.size() < 2) {
    return result;
  }
  const double quantile = student_t_quantile(0.975, result.pairs - 1);
  const double deviation = std_of(differences);
  result.interval = around(result.mean, quantile * deviation / std::sqrt(n));
  if (deviation > 0) {
    const double d = result.mean / deviation;
    const double factor = 1 - 3 / (4 * n - 5);
    result.effect = factor * d;
    result.effect_interval =
        around(*result.effect, quantile * factor * std::sqrt(1 / n + d * d / (2 * n)));
  }
  return result;
}

}  // namespace warptape::weight_norm_study
