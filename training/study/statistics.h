#pragma once
// How sure one can be of a difference that a few paired runs show.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace warptape::weight_norm_study {

double mean_of(std::span<const double> values);  // NaN for none
double std_of(std::span<const double> values);   // of a sample (divided by n - 1); NaN below two

// The probability that a variable of Student's t distribution with so many degrees of freedom (1 or
// more) is below t (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4), and the t below which it is with
// this probability, between 0 and 1.
double student_t_cdf(double t, int64_t degrees);
double student_t_quantile(double probability, int64_t degrees);

struct Interval {
  double low = 0;
  double high = 0;
};

// a[i] - b[i] over the pairs of which both are finite.
struct PairedDifference {
  int64_t pairs = 0;
  double mean = 0;
  std::optional<Interval> interval = {};  // 95 %, by Student's t; from two pairs on
  // The mean over the standard deviation of the differences, times 1 - 3 / (4 n - 5), which makes
  // up for few pairs (Hedges 1981); from two pairs on that differ among each other. Its interval
  // is approximate: the standard error is that factor times sqrt(1 / n + d^2 / (2 n)), d before the
  // factor (Borenstein et al. 2009, chapter 4).
  std::optional<double> effect = {};
  std::optional<Interval> effect_interval = {};
};

// ValueError for samples of unlike sizes. None for no finite pair.
std::optional<PairedDifference> paired_difference(std::span<const double> a,
                                                  std::span<const double> b);

}  // namespace warptape::weight_norm_study
