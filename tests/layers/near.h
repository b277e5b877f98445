#pragma once
// What the tests of layers and models compare with.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/primitives.h"
#include "kernels/ops.h"

namespace warptape {

inline std::vector<double> values(const Tensor& tensor) {
  return primitives::cast(tensor, float64).to_vector<double>();
}

// Equal up to rounding in float64: 1e-12, relative where that is more.
inline void expect_near(const std::vector<double>& found, const std::vector<double>& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  double largest = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const double difference = std::abs(found[i] - wanted[i]) / std::max(1.0, std::abs(wanted[i]));
    largest = difference <= largest ? largest : difference;
  }
  EXPECT_LE(largest, 1e-12);
}

inline void expect_near(const Tensor& found, const Tensor& wanted) {
  ASSERT_TRUE(found.defined());
  ASSERT_TRUE(wanted.defined());
  ASSERT_EQ(found.shape(), wanted.shape());
  expect_near(values(found), values(wanted));
}

// g v / ||v||, one norm per row, from ops that know nothing of weight norm.
inline Tensor composed_weight(const Operand& v, const Operand& g) {
  std::vector<int> dims;
  for (int d = 1; d < v.rank(); ++d) {
    dims.push_back(d);
  }
  const Tensor norm = exp(mul(log(sum(mul(v, v), dims, true)), 0.5));
  return mul(v, div(g, norm));
}

}  // namespace warptape
