#pragma once
// The arithmetic of normalisations, for an element and for a set of them, on both devices. Sums are
// doubles.

#include <cmath>
#include <cstdint>

#include "core/element_types.h"
#include "kernels/normalize/sets.h"

namespace warptape::normalize {

struct Sums {
  double first;
  double second;
};

WARPTAPE_HOST_DEVICE inline Sums operator+(const Sums& a, const Sums& b) {
  return {a.first + b.first, a.second + b.second};
}

struct Statistics {
  double mean;
  double inv_std;
};

// What is subtracted from an element, as two numbers: x - high is exact where the mean is large
// against the deviation, and low is what rounding took off the mean.
template <class C>
struct Centre {
  C high = 0;
  C low = 0;

  Centre() = default;
  WARPTAPE_HOST_DEVICE explicit Centre(double mean)
      : high(static_cast<C>(mean)), low(static_cast<C>(mean - static_cast<double>(high))) {}
  WARPTAPE_HOST_DEVICE C of(C x) const { return (x - high) - low; }
};

// ---- mean and variance ------------------------------------------------------------------------

// Sums are of x - shift and of its square, where shift is an element of the set, the same for all
// threads. Its distance from the mean is at most sqrt(count) deviations, so that the subtraction of
// the mean's square takes no more from the variance than adding up `count` elements may.
struct Moments {
  double mean;
  double squares;  // the sum of (x - mean)^2

  WARPTAPE_HOST_DEVICE Moments(double shift, const Sums& sums, double inv_count) {
    const double offset = sums.first * inv_count;
    const double rest = sums.second - sums.first * offset;
    mean = shift + offset;
    squares = rest < 0 ? 0 : rest;
  }
  WARPTAPE_HOST_DEVICE Statistics statistics(double inv_count, double eps) const {
    return {mean, 1 / std::sqrt(squares * inv_count + eps)};
  }
};

template <class C>
WARPTAPE_HOST_DEVICE void add_moment(Sums& sums, C x, double shift) {
  const double distance = static_cast<double>(x) - shift;
  sums.first += distance;
  sums.second += distance * distance;
}

// A Summand of one input: what the sums of a set are made of.
template <class T>
struct MomentSummand {
  using Element = T;
  static constexpr int inputs = 1;
  using Around = double;

  const T* x;

  static constexpr bool varies() { return false; }
  WARPTAPE_HOST_DEVICE Around around(const Sets& sets, int64_t o, int64_t, int64_t j,
                                     int64_t) const {
    return static_cast<double>(static_cast<Compute<T>>(x[sets.first(o, j)]));
  }
  WARPTAPE_HOST_DEVICE void add(Sums& sums, const Compute<T> (&values)[1],
                                const Around& shift) const {
    add_moment(sums, values[0], shift);
  }
  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(x);
  }
};

// Running averages of batch_norm; without pointers there are none.
template <class P>
struct Running {
  P* mean = nullptr;
  P* variance = nullptr;
  const int64_t* batches = nullptr;  // so far, for the cumulative average
  double momentum = 0;               // below 0: the cumulative average

  WARPTAPE_HOST_DEVICE void update(int64_t j, const Moments& moments, double count) const {
    const double factor = momentum < 0 ? 1 / (static_cast<double>(*batches) + 1) : momentum;
    const double variance_of_batch = moments.squares / (count - 1);
    mean[j] = static_cast<P>((1 - factor) * static_cast<double>(mean[j]) + factor * moments.mean);
    variance[j] = static_cast<P>((1 - factor) * static_cast<double>(variance[j]) +
                                 factor * variance_of_batch);
  }
};

// What becomes of a set's sums.
template <class P>
struct KeepStatistics {
  Statistics* statistics;
  double count;
  double eps;
  Running<P> running;

  WARPTAPE_HOST_DEVICE void operator()(int64_t set, int64_t, double shift, const Sums& sums) const {
    const double inv_count = 1 / count;
    const Moments moments(shift, sums, inv_count);
    statistics[set] = moments.statistics(inv_count, eps);
    if (running.mean != nullptr) {
      running.update(set, moments, count);
    }
  }
  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(statistics);
    visit(running.mean);
    visit(running.variance);
    visit(running.batches);
  }
};

// ---- sums of gradients ------------------------------------------------------------------------

// Where the statistics of element (o, a, j, b) are.
struct StatisticsIndex {
  int64_t outer = 0;
  int64_t along = 0;
  int64_t set = 0;
  int64_t run = 0;
  int64_t sets_per_group = 1;

  WARPTAPE_HOST_DEVICE int64_t at(int64_t o, int64_t a, int64_t j, int64_t b) const {
    return o * outer + a * along + j / sets_per_group * set + b * run;
  }
  WARPTAPE_HOST_DEVICE bool varies() const { return along != 0 || run != 0; }  // within a set
};

// Of dy and x: the sums of dy and of dy times the normalised x. Varies: the statistics do, within a
// set.
template <class T, bool Varies>
struct GradientSummand {
  using Element = T;
  using C = Compute<T>;
  static constexpr int inputs = 2;
  struct Around {
    Centre<C> centre;
    C inv_std;
  };

  const Statistics* statistics;
  StatisticsIndex index;

  static constexpr bool varies() { return Varies; }
  WARPTAPE_HOST_DEVICE Around around(const Sets&, int64_t o, int64_t a, int64_t j,
                                     int64_t b) const {
    const Statistics own = statistics[index.at(o, a, j, b)];
    return {Centre<C>(own.mean), static_cast<C>(own.inv_std)};
  }
  WARPTAPE_HOST_DEVICE void add(Sums& sums, const C (&values)[2], const Around& around) const {
    const C normalised = around.centre.of(values[1]) * around.inv_std;
    sums.first += static_cast<double>(values[0]);
    sums.second += static_cast<double>(values[0]) * static_cast<double>(normalised);
  }
  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(statistics);
  }
};

// Gradients of weight and bias where they are wanted; what normalised gradients subtract.
template <class P>
struct KeepGradients {
  Sums* sums = nullptr;   // as they are
  Sums* means = nullptr;  // of w * dy and w * dy * normalised x, for the gradient of x
  const P* weight = nullptr;
  double count = 1;
  P* of_weight = nullptr;
  P* of_bias = nullptr;
  bool add_to_weight = false;
  bool add_to_bias = false;

  template <class Around>
  WARPTAPE_HOST_DEVICE void operator()(int64_t set, int64_t j, const Around&,
                                       const Sums& total) const {
    if (sums != nullptr) {
      sums[set] = total;
    }
    if (means != nullptr) {
      const double factor = (weight == nullptr ? 1 : static_cast<double>(weight[j])) / count;
      means[set] = {factor * total.first, factor * total.second};
    }
    if (of_weight != nullptr) {
      of_weight[j] = written(add_to_weight, of_weight[j], static_cast<P>(total.second));
    }
    if (of_bias != nullptr) {
      of_bias[j] = written(add_to_bias, of_bias[j], static_cast<P>(total.first));
    }
  }
  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(sums);
    visit(means);
    visit(weight);
    visit(of_weight);
    visit(of_bias);
  }
};

// ---- element by element -----------------------------------------------------------------------

// Statistics that were kept, or batch_norm's running ones.
template <class P>
struct StatisticsSource {
  const Statistics* kept = nullptr;
  const P* running_mean = nullptr;
  const P* running_variance = nullptr;
  double eps = 0;
  StatisticsIndex index{};

  WARPTAPE_HOST_DEVICE Statistics at(int64_t o, int64_t j) const {
    const int64_t i = index.at(o, 0, j, 0);
    return kept != nullptr ? kept[i] : of_running(i);
  }
  WARPTAPE_HOST_DEVICE Statistics of_running(int64_t i) const {
    return {static_cast<double>(running_mean[i]),
            1 / std::sqrt(static_cast<double>(running_variance[i]) + eps)};
  }
  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(kept);
    visit(running_mean);
    visit(running_variance);
  }
};

template <class P>
WARPTAPE_HOST_DEVICE P weight_at(const P* weight, int64_t i) {
  return weight == nullptr ? P(1) : weight[i];
}

template <class P>
WARPTAPE_HOST_DEVICE P bias_at(const P* bias, int64_t i) {
  return bias == nullptr ? P(0) : bias[i];
}

// y of x. With centres left out it is the gradient of x where the statistics are constants, of dy.
template <class T>
struct Normalize {
  using Element = T;
  using C = Compute<T>;
  static constexpr int inputs = 1;
  struct Row {
    Centre<C> centre;
    C scale;
    C bias;
  };

  StatisticsSource<C> source;
  const C* weight = nullptr;
  const C* bias = nullptr;
  bool scales_only = false;
  int64_t* batches = nullptr;  // counted up, once

  WARPTAPE_HOST_DEVICE Row row(int64_t o, int64_t j) const {
    const Statistics statistics = source.at(o, j);
    const C w = weight_at(weight, j);
    return {scales_only ? Centre<C>() : Centre<C>(statistics.mean),
            static_cast<C>(statistics.inv_std * static_cast<double>(w)), bias_at(bias, j)};
  }
  WARPTAPE_HOST_DEVICE C value(const Row& row, const C (&values)[1]) const {
    return row.centre.of(values[0]) * row.scale + row.bias;
  }
  WARPTAPE_HOST_DEVICE void finish() const {
    if (batches != nullptr) {
      ++*batches;
    }
  }
  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    source.for_each_pointer(visit);
    visit(weight);
    visit(bias);
    visit(batches);
  }
};

// The gradient of x where the statistics are x's, of what w * dy and w * dy * normalised x are on
// the average.
template <class C>
WARPTAPE_HOST_DEVICE C normalized_gradient(C weighted_dy, C normalised, C inv_std, C mean_dy,
                                           C mean_product) {
  return inv_std * (weighted_dy - mean_dy - normalised * mean_product);
}

template <class T>
struct NormalizeGradient {
  using Element = T;
  using C = Compute<T>;
  static constexpr int inputs = 2;
  struct Row {
    Centre<C> centre;
    C inv_std;
    C weight;
    C mean_dy;
    C mean_product;
  };

  const Statistics* statistics;
  const Sums* means;  // where the statistics are
  StatisticsIndex index;
  const C* weight = nullptr;

  WARPTAPE_HOST_DEVICE Row row(int64_t o, int64_t j) const {
    const int64_t i = index.at(o, 0, j, 0);
    const Statistics own = statistics[i];
    const Sums mean = means[i];
    return {Centre<C>(own.mean), static_cast<C>(own.inv_std), weight_at(weight, j),
            static_cast<C>(mean.first), static_cast<C>(mean.second)};
  }
  WARPTAPE_HOST_DEVICE C value(const Row& row, const C (&values)[2]) const {
    return normalized_gradient(row.weight * values[0], row.centre.of(values[1]) * row.inv_std,
                               row.inv_std, row.mean_dy, row.mean_product);
  }
  WARPTAPE_HOST_DEVICE void finish() const {}
  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(statistics);
    visit(means);
    visit(weight);
  }
};

}  // namespace warptape::normalize
