#pragma once
// What the cases of normalisations share.

#include <cmath>
#include <vector>

#include "kernels/cases/measured.h"

namespace warptape {

struct PlainStatistics {
  double mean = 0;
  double inv_std = 0;
};

inline PlainStatistics plain_statistics(const std::vector<double>& values, double eps) {
  PlainStatistics result;
  const auto count = static_cast<double>(values.size());
  for (double value : values) {
    result.mean += value / count;
  }
  double variance = 0;
  for (double value : values) {
    variance += (value - result.mean) * (value - result.mean) / count;
  }
  result.inv_std = 1 / std::sqrt(variance + eps);
  return result;
}

// y of x where element i belongs to set_of(i), and to weight and bias number place_of(i) of inputs
// 1 and 2, if there are such.
template <class SetOf, class PlaceOf>
Tensor plain_normalized(const std::vector<Tensor>& in, int64_t sets, double eps,
                        const SetOf& set_of, const PlaceOf& place_of) {
  Plain y(in[0]);
  std::vector<std::vector<double>> values(static_cast<size_t>(sets));
  for (int64_t i = 0; i < y.numel(); ++i) {
    values[static_cast<size_t>(set_of(i))].push_back(y[i]);
  }
  std::vector<PlainStatistics> statistics;
  for (const std::vector<double>& set : values) {
    statistics.push_back(plain_statistics(set, eps));
  }
  for (int64_t i = 0; i < y.numel(); ++i) {
    const PlainStatistics& of_set = statistics[static_cast<size_t>(set_of(i))];
    y[i] = (y[i] - of_set.mean) * of_set.inv_std;
    if (in.size() > 1) {
      y[i] *= Plain(in[1])[place_of(i)];
    }
    if (in.size() > 2) {
      y[i] += Plain(in[2])[place_of(i)];
    }
  }
  return y.tensor();
}

}  // namespace warptape
