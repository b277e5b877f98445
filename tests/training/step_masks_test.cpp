// Masks of sequences of unequal lengths, and what is computed with them.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/random.h"
#include "core/tape.h"
#include "kernels/losses/losses.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/sum/sum.h"
#include "tests/core/expect_throws.h"
#include "training/step_masks.h"

namespace warptape {
namespace {

TEST(StepMasks, CoverTheStepsOfASequenceBehindItsWarmUp) {
  const Tensor lengths = tensor<int64_t>({3, 0, 5}, {3});
  EXPECT_EQ(length_mask(lengths, 5).to_vector<uint8_t>(),
            (std::vector<uint8_t>{1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1}));
  const Tensor mask = length_mask(lengths, 5, 2);
  EXPECT_EQ(mask.shape(), Shape({3, 5}));
  EXPECT_EQ(mask.to_vector<uint8_t>(),
            (std::vector<uint8_t>{0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1}));
  expect_throws<ValueError>([&] { length_mask(lengths, 4); }, {"length 2: got 5, wanted 0 to 4"});
  expect_throws<ValueError>([&] { length_mask(lengths, 5, -1); }, {"warm_up: got -1"});
  expect_throws<DTypeError>([&] { length_mask(Tensor::zeros({3}), 5); }, {"float32", "int64"});
  expect_throws<ShapeError>([&] { length_mask(Tensor::zeros({3, 1}, int64), 5); }, {"(3, 1)"});
}

// What stands behind the ends is no number: whoever takes it is found out.
TEST(StepMasks, MeansAndLastStepsAreThoseOfEachSequenceAlone) {
  manual_seed(2);
  const std::vector<int64_t> lengths{4, 1, 3};
  const Tensor all = randn({3, 4, 2}, float64);
  Tensor padded = all.clone();
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t t = lengths[static_cast<size_t>(i)]; t < 4; ++t) {
      for (int64_t k = 0; k < 2; ++k) {
        padded.mutable_data<double>()[(i * 4 + t) * 2 + k] =
            std::numeric_limits<double>::quiet_NaN();
      }
    }
  }
  const Tensor ends = tensor<int64_t>(lengths, {3});
  Tape tape;
  tape.watch(padded);
  const Tensor means = masked_mean(padded, length_mask(ends, 4));
  const Tensor lasts = last_steps(padded, ends);
  ASSERT_EQ(means.shape(), Shape({3, 2}));
  ASSERT_EQ(lasts.shape(), Shape({3, 2}));
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t length = lengths[static_cast<size_t>(i)];
    for (int64_t k = 0; k < 2; ++k) {
      const auto at = [&](int64_t t) { return all.to_vector<double>()[(i * 4 + t) * 2 + k]; };
      double sum_of = 0;
      for (int64_t t = 0; t < length; ++t) {
        sum_of += at(t);
      }
      const auto place = static_cast<size_t>(i * 2 + k);
      EXPECT_NEAR(means.to_vector<double>()[place], sum_of / static_cast<double>(length), 1e-15);
      EXPECT_EQ(lasts.to_vector<double>()[place], at(length - 1));
    }
  }
  tape.backward(sum(means) + sum(lasts) * 10.0);
  const std::vector<double> gradient = tape.gradient(padded).to_vector<double>();
  for (size_t i = 0; i < 3; ++i) {
    const auto length = static_cast<size_t>(lengths[i]);
    for (size_t t = 0; t < 4; ++t) {
      const double wanted = t >= length       ? 0
                            : t + 1 == length ? 1 / static_cast<double>(length) + 10
                                              : 1 / static_cast<double>(length);
      EXPECT_NEAR(gradient[(i * 4 + t) * 2], wanted, 1e-15) << i << " " << t;
    }
  }
  expect_throws<ValueError>(
      [&] {
        last_steps(all, tensor<int64_t>({4, 0, 3}, {3}));
      },
      {"length 1: got 0, wanted 1 to 4"});
  expect_throws<ShapeError>([&] { last_steps(all, tensor<int64_t>({4}, {1})); },
                            {"(1,)", "wanted (3,)"});
  expect_throws<ShapeError>([&] { masked_mean(all, Tensor::ones({3, 2}, uint8)); }, {"(3, 2)"});
  expect_throws<DTypeError>([&] { masked_mean(all, Tensor::ones({3, 4})); }, {"float32", "uint8"});
}

TEST(StepMasks, LossesLeaveTheWarmUpOut) {
  manual_seed(3);
  const Tensor y = randn({2, 5, 3}, float64);
  const Tensor target = randn({2, 5, 3}, float64);
  const Loss mse = [](const Tensor& a, const Tensor& b) { return mse_loss(a, b); };
  const Tensor mask = length_mask(tensor<int64_t>({5, 5}, {2}), 5, 2);
  EXPECT_NEAR(skip_warm_up(mse, 2)(y, target).item(), mse_loss(y, target, {}, mask).item(), 1e-15);
  EXPECT_EQ(skip_warm_up(mse, 0)(y, target).item(), mse_loss(y, target).item());
  EXPECT_NE(skip_warm_up(mse, 2)(y, target).item(), mse_loss(y, target).item());
  expect_throws<ShapeError>([&] { skip_warm_up(mse, 5)(y, target); }, {"(2, 5, 3)", "than the 5"});
  expect_throws<ValueError>([&] { skip_warm_up(mse, -1); }, {"-1"});
}

}  // namespace
}  // namespace warptape
