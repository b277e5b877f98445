// Losses: what the case tables and PyTorch's finite values do not say. Values that are no numbers,
// what a mask leaves out, means over nothing, sums whose order is fixed.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "core/parallel.h"
#include "core/primitives.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "tests/kernels/devices.h"
#include "tests/support/allocations.h"

namespace warptape {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

using Values = std::vector<double>;
using In = std::vector<Operand>;

struct Loss {
  const char* name;
  size_t inputs;
  std::function<Tensor(const In& in, Reduction reduction, const Operand& mask)> run;
};

const std::vector<Loss>& all_losses() {
  static const std::vector<Loss> losses = {
#define WARPTAPE_LOSS(name, Functor)                                      \
  {#name, 2, [](const In& in, Reduction reduction, const Operand& mask) { \
     return name(in[0], in[1], {.reduction = reduction}, mask);           \
   }},
      WARPTAPE_LOSSES_OF_TWO(WARPTAPE_LOSS)
#undef WARPTAPE_LOSS
          {"bce_with_logits_loss", 2,
           [](const In& in, Reduction reduction, const Operand& mask) {
             const losses::BceWithLogits options{.reduction = reduction};
             return bce_with_logits_loss(in[0], in[1], options, mask);
           }},
      {"bce_with_logits_loss, pos_weight", 3,
       [](const In& in, Reduction reduction, const Operand& mask) {
         const losses::BceWithLogits options{.reduction = reduction};
         return bce_with_logits_loss(in[0], in[1], in[2], options, mask);
       }},
      {"gaussian_nll_loss", 3,
       [](const In& in, Reduction reduction, const Operand& mask) {
         return gaussian_nll_loss(in[0], in[1], in[2], {.reduction = reduction}, mask);
       }},
      {"quantile_loss", 2,
       [](const In& in, Reduction reduction, const Operand& mask) {
         // Of one step, whose target has no dimension for the levels.
         const Tensor target = mean(in[1], {-1});
         return quantile_loss(in[0], target, {0.1, 0.4, 0.7, 0.9}, reduction, mask);
       }},
  };
  return losses;
}

Values values_of(const Tensor& x) {
  return primitives::cast(x.to(cpu), float64).to_vector<double>();
}

bool is_equal(double got, double wanted, double bound) {
  return std::isnan(wanted)   ? std::isnan(got)
         : std::isinf(wanted) ? got == wanted
                              : std::abs(got - wanted) <= bound * std::max(1.0, std::abs(wanted));
}

void expect_equal(const Values& got, const Values& wanted, double bound, const char* what) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(is_equal(got[i], wanted[i], bound))
        << what << ", element " << i << ": got " << got[i] << ", wanted " << wanted[i];
  }
}

struct Special {
  std::string name;
  std::vector<Values> in;
  Values y;
  std::vector<Values> gradients;  // of y's elements times 1, 2, 3, ...
};

// Written by PyTorch 2.15, reduction="none".
const std::vector<Special>& specials() {
  static const Values x = {nan, inf, -inf, inf, 0, 0};
  static const Values target = {0, 0, 0, inf, nan, 0};
  static const std::vector<Values> of_bounded = {{nan, 2, -3, nan, nan, 0},
                                                 {nan, -2, 3, nan, nan, 0}};
  static const std::vector<Special> table = {
      {"mse_loss",
       {x, target},
       {nan, inf, inf, nan, nan, 0},
       {{nan, inf, -inf, nan, nan, 0}, {nan, -inf, inf, nan, nan, 0}}},
      {"l1_loss",
       {x, target},
       {nan, inf, inf, nan, nan, 0},
       {{0, 2, -3, 0, 0, 0}, {0, -2, 3, 0, 0, 0}}},
      {"huber_loss", {x, target}, {nan, inf, inf, nan, nan, 0}, of_bounded},
      {"smooth_l1_loss", {x, target}, {nan, inf, inf, nan, nan, 0}, of_bounded},
      {"bce_with_logits_loss",
       {{nan, inf, -inf, inf, -inf, 1e4, -1e4}, {0, 1, 0, 0, 1, 0, 1}},
       {nan, nan, nan, inf, nan, 1e4, 1e4},
       {{nan, 0, 0, 4, -5, 6, -7}, {nan, -inf, inf, -inf, inf, -6e4, 7e4}}},
      {"gaussian_nll_loss",
       {{0, 1, nan, inf, 0, 2, 1}, {0, 0, 0, 0, 0, 0, 0}, {0, 0, 1, 1, nan, inf, 1e-30}},
       {-6.907755278982137, 499993.092244721, nan, inf, nan, inf, 499993.092244721},
       {{0, 2e6, nan, inf, nan, 0, 7e6},
        {0, -2e6, nan, -inf, nan, 0, -7e6},
        {5e5, -999999000000.0, nan, -inf, nan, 0, -3499996500000.0}}},
  };
  return table;
}

TEST(Losses, OfInfinitiesAndNaN) {
  for (const Special& special : specials()) {
    const auto loss = std::find_if(all_losses().begin(), all_losses().end(),
                                   [&](const Loss& l) { return l.name == special.name; });
    ASSERT_NE(loss, all_losses().end()) << special.name;
    for (Device device : available_devices()) {
      for (DType dtype : {float32, float64}) {
        SCOPED_TRACE(special.name + " in " + to_string(dtype) + " on " + to_string(device));
        const double bound = dtype == float32 ? 2e-6 : 1e-12;
        Tape tape;
        std::vector<Tensor> in;
        for (const Values& values : special.in) {
          const Shape shape{static_cast<int64_t>(values.size())};
          in.push_back(primitives::cast(tensor(values, shape), dtype).to(device));
          tape.watch(in.back());
        }
        const Tensor y = loss->run({in.begin(), in.end()}, Reduction::None, Tensor());
        expect_equal(values_of(y), special.y, bound, "y");
        Values seed(static_cast<size_t>(y.numel()));
        for (size_t i = 0; i < seed.size(); ++i) {
          seed[i] = static_cast<double>(i + 1);
        }
        tape.backward(y, primitives::cast(tensor(seed, y.shape()), dtype).to(device));
        for (size_t i = 0; i < in.size(); ++i) {
          expect_equal(values_of(tape.gradient(in[i])), special.gradients[i], bound,
                       i == 0   ? "gradient by the input"
                       : i == 1 ? "gradient by the target"
                                : "gradient by the third");
        }
      }
    }
  }
}

// y, then the gradients.
std::vector<Values> results(const Loss& loss, const std::vector<Values>& in, const Values& seed,
                            const Values& mask, Reduction reduction, DType dtype, Device device) {
  const Shape shape{static_cast<int64_t>(mask.size()), 4};
  Tape tape;
  std::vector<Tensor> tensors;
  for (const Values& values : in) {
    tensors.push_back(primitives::cast(tensor(values, shape), dtype).to(device));
    tape.watch(tensors.back());
  }
  const Tensor rows = primitives::cast(tensor(mask, {shape[0]}), uint8).to(device);
  const Tensor y = loss.run({tensors.begin(), tensors.end()}, reduction, rows);
  std::vector<Values> result = {values_of(y)};
  if (reduction == Reduction::None) {
    tape.backward(y, primitives::cast(tensor(seed, shape), dtype).to(device));
  } else {
    tape.backward(y);
  }
  for (const Tensor& tensor : tensors) {
    result.push_back(values_of(tape.gradient(tensor)));
  }
  return result;
}

TEST(Losses, WhatAMaskLeavesOutPoisonsNothing) {
  const Values mask = {1, 0, 1, 0, 0, 1, 1};
  Values clean(mask.size() * 4);
  for (size_t i = 0; i < clean.size(); ++i) {
    clean[i] = 0.25 + static_cast<double>(i * 7 % 11) / 8;
  }
  const auto poisoned = [&](std::initializer_list<double> by) {
    Values values = clean;
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = mask[i / 4] == 0 ? by.begin()[i % by.size()] : values[i];
    }
    return values;
  };
  for (const Loss& loss : all_losses()) {
    for (Device device : available_devices()) {
      for (DType dtype : {float32, bfloat16}) {
        for (Reduction reduction : {Reduction::Mean, Reduction::Sum, Reduction::None}) {
          SCOPED_TRACE(fmt::format("{}, {} in {} on {}", loss.name, static_cast<int>(reduction),
                                   to_string(dtype), to_string(device)));
          std::vector<Values> in(loss.inputs, clean);
          in[0][0] = 0.1;  // not all differences are 0
          in[0][9] = 2;
          const auto wanted = results(loss, in, clean, mask, reduction, dtype, device);
          const double first = in[0][0];
          const double ninth = in[0][9];
          in[0] = poisoned({nan, inf, -inf, nan});
          in[0][0] = first;
          in[0][9] = ninth;
          in[1] = poisoned({inf, inf, nan, 1e30});
          if (loss.inputs > 2) {
            in[2] = poisoned({-1, nan, 0, -inf});  // no variance: not refused either
          }
          const auto got = results(loss, in, poisoned({nan, inf}), mask, reduction, dtype, device);
          EXPECT_TRUE(got[0] == wanted[0]);
          EXPECT_TRUE(got[1] == wanted[1]) << "gradient by the input";
          // mean(), before quantile_loss, has its own gradient by what was left out: 0.
          EXPECT_TRUE(got[2] == wanted[2]) << "gradient by the target";
          EXPECT_TRUE(got.back() == wanted.back());
          double total = 0;
          for (double value : got[1]) {
            total += std::abs(value);
          }
          EXPECT_GT(total, 0);
        }
      }
    }
  }
}

TEST(Losses, OfNothing) {
  const Values none(3, 0.0);
  const Values some(12, 0.5);
  for (const Loss& loss : all_losses()) {
    for (Device device : available_devices()) {
      SCOPED_TRACE(std::string(loss.name) + " on " + to_string(device));
      const PoisonedAllocations poison;
      const std::vector<Values> in(loss.inputs, some);
      const auto mean = results(loss, in, some, none, Reduction::Mean, float32, device);
      EXPECT_TRUE(std::isnan(mean[0][0])) << mean[0][0];
      const auto sum = results(loss, in, some, none, Reduction::Sum, float32, device);
      EXPECT_EQ(sum[0], Values{0});
      const auto each = results(loss, in, some, none, Reduction::None, float32, device);
      EXPECT_EQ(each[0], Values(12, 0.0));
      for (const auto& result : {mean, sum, each}) {
        for (size_t i = 1; i < result.size(); ++i) {
          EXPECT_EQ(result[i], Values(12, 0.0)) << "gradient by input " << i - 1;
        }
      }
    }
  }
}

TEST(Losses, OfLabelsThatAreAllIgnored) {
  for (Device device : available_devices()) {
    SCOPED_TRACE(to_string(device));
    const PoisonedAllocations poison;
    for (const bool logits : {true, false}) {
      Tensor x = tensor<float>({1, std::numeric_limits<float>::quiet_NaN(), 3, 4}, {2, 2}, device);
      const Tensor labels = tensor<int64_t>({-100, -100}, {2}, device);
      Tape tape;
      tape.watch(x);
      const Tensor y = logits ? cross_entropy(x, labels) : nll_loss(x, labels);
      EXPECT_TRUE(std::isnan(values_of(y)[0]));
      tape.backward(y);
      EXPECT_EQ(values_of(tape.gradient(x)), Values(4, 0.0));
    }
  }
}

// An ignored row is no number, and the others do not know.
TEST(Losses, IgnoredLabelsPoisonNothing) {
  for (Device device : available_devices()) {
    for (Reduction reduction : {Reduction::Mean, Reduction::Sum, Reduction::None}) {
      SCOPED_TRACE(std::string(to_string(device)) + ", " +
                   std::to_string(static_cast<int>(reduction)));
      constexpr auto none = std::numeric_limits<float>::quiet_NaN();
      Tensor x = tensor<float>({none, none, -0.5, -1}, {2, 2}, device);
      const Tensor labels = tensor<int64_t>({7, 1}, {2}, device);
      Tape tape;
      tape.watch(x);
      const Tensor y = nll_loss(x, labels, {.reduction = reduction, .ignore_index = 7});
      EXPECT_EQ(values_of(y), reduction == Reduction::None ? (Values{0, 1}) : Values{1});
      tape.backward(y, Tensor::ones(y.shape(), float32, device));
      EXPECT_EQ(values_of(tape.gradient(x)), (Values{0, 0, 0, -1}));
    }
  }
}

TEST(Losses, SumsOnTheCpuDoNotDependOnThreads) {
  const int64_t count = 70001;  // several chunks for each of three threads
  Values values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = std::sin(static_cast<double>(i)) * std::pow(10.0, static_cast<double>(i % 7));
  }
  const Tensor x = tensor(values, {count});
  const Tensor target = Tensor::zeros({count}, float64);
  const Tensor scores = x.view({count, 1});
  const Tensor labels = Tensor::zeros({count}, int64);
  const int before = num_threads();
  std::vector<Values> sums;
  for (int threads : {1, 3}) {
    set_num_threads(threads);
    sums.push_back({mse_loss(x, target).item(), nll_loss(scores, labels).item()});
  }
  set_num_threads(before);
  EXPECT_EQ(sums[0], sums[1]);
}

}  // namespace
}  // namespace warptape
