// Normalisations, on every device: what the case tables and PyTorch's values do not say. Large
// means, outliers, bfloat16 beside float32 parameters, running statistics, bits.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>

#include "core/parallel.h"
#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "tests/core/expect_throws.h"
#include "tests/kernels/devices.h"

namespace warptape {
namespace {

constexpr MemoryFormat row_major = MemoryFormat::RowMajor;
constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

std::vector<double> values_of(const Tensor& x) {
  return primitives::cast(primitives::relayout(x.to(cpu), row_major), float64).to_vector<double>();
}

// Norms over all of x (N, C, L): one set in layer_norm, one for each sample or channel else.
struct Norm {
  const char* name;
  std::function<Tensor(const Operand&)> run;
  // The set of element (n, c).
  std::function<int64_t(int64_t n, int64_t c, int64_t channels)> set;
};

std::vector<Norm> norms() {
  return {
      {"layer_norm",
       [](const Operand& x) {
         return layer_norm(x, {x.size(1), x.size(2)});
       },
       [](int64_t n, int64_t, int64_t) { return n; }},
      {"group_norm", [](const Operand& x) { return group_norm(x, x.size(1)); },
       [](int64_t n, int64_t c, int64_t channels) { return n * channels + c; }},
      {"batch_norm",
       [](const Operand& x) { return batch_norm(x, {}, Tensor(), Tensor(), {.training = true}); },
       [](int64_t, int64_t c, int64_t) { return c; }},
  };
}

// By two passes in long double.
std::vector<double> normalised(const Norm& norm, const Tensor& x) {
  const std::vector<double> values = values_of(x);
  const int64_t channels = x.size(1);
  const int64_t length = x.size(2);
  const auto set_of = [&](size_t i) {
    const int64_t row = static_cast<int64_t>(i) / length;
    return static_cast<size_t>(norm.set(row / channels, row % channels, channels));
  };
  std::vector<long double> count(static_cast<size_t>(x.size(0) * channels));
  std::vector<long double> mean(count.size());
  std::vector<long double> variance(count.size());
  for (size_t i = 0; i < values.size(); ++i) {
    count[set_of(i)] += 1;
    mean[set_of(i)] += values[i];
  }
  for (size_t i = 0; i < mean.size(); ++i) {
    mean[i] /= count[i];
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const long double distance = values[i] - mean[set_of(i)];
    variance[set_of(i)] += distance * distance / count[set_of(i)];
  }
  std::vector<double> result;
  for (size_t i = 0; i < values.size(); ++i) {
    const long double distance = values[i] - mean[set_of(i)];
    result.push_back(static_cast<double>(distance / std::sqrt(variance[set_of(i)] + 1e-5L)));
  }
  return result;
}

void expect_normalised(const Tensor& x, double tolerance) {
  for (const Norm& norm : norms()) {
    const std::vector<double> wanted = normalised(norm, x);
    for (const Device device : available_devices()) {
      for (const MemoryFormat format : {row_major, channels_last}) {
        SCOPED_TRACE(
            fmt::format("{} in {} on {}", norm.name, to_string(format), to_string(device)));
        const std::vector<double> got = values_of(norm.run(x.to(device).to(format)));
        for (size_t i = 0; i < got.size(); ++i) {
          ASSERT_NEAR(got[i], wanted[i], tolerance * std::max(1.0, std::abs(wanted[i])))
              << "element " << i;
        }
      }
    }
  }
}

// x by its elements of a formula.
Tensor made_of(const Shape& shape, DType dtype, const std::function<double(int64_t)>& formula) {
  std::vector<double> values;
  for (int64_t i = 0; i < shape.numel(); ++i) {
    values.push_back(formula(i));
  }
  return primitives::cast(tensor(values, shape), dtype);
}

// A sum of squares less the square of the mean has lost all digits here: 1e12 and 1e24 beside 1.
// Values of float32 at 2^20 are 1/8 apart, so that what is given is exact. Of the mean itself, a
// double, rounding takes 2^-13 at 2^40, in deviations of 3/4.
TEST(Norms, LargeMeansTakeNothingFromTheDeviation) {
  const Shape shape{3, 4, 37};
  const auto wave = [](int64_t i) { return static_cast<double>(i * 7 % 23) / 8 - 1; };
  expect_normalised(made_of(shape, float32, [&](int64_t i) { return 0x1p20 + wave(i); }), 1e-5);
  expect_normalised(made_of(shape, float64, [&](int64_t i) { return 0x1p40 + wave(i); }), 0x1p-12);
}

// The element that sums are taken around is the worst that there can be.
TEST(Norms, TheFirstElementMayBeAnOutlier) {
  const auto spike = [](int64_t i) { return i % 37 == 0 ? 1e6 : static_cast<double>(i % 5); };
  expect_normalised(made_of({3, 4, 37}, float64, spike), 1e-11);
}

TEST(Norms, EqualElementsBecomeZero) {
  for (const Norm& norm : norms()) {
    for (const Device device : available_devices()) {
      const Tensor x = Tensor::full({2, 3, 19}, 1234.567, float32, device);
      EXPECT_EQ(values_of(norm.run(x)), std::vector<double>(114, 0.0)) << norm.name;
    }
  }
}

// ---- bfloat16 -----------------------------------------------------------------------------------

using WithParameters = std::function<Tensor(const Operand& x, const Operand& w, const Operand& b)>;

std::vector<std::pair<const char*, WithParameters>> with_parameters() {
  return {
      {"layer_norm", [](const Operand& x, const Operand& w,
                        const Operand& b) { return layer_norm(x, {x.size(2)}, w, b); }},
      {"group_norm",
       [](const Operand& x, const Operand& w, const Operand& b) { return group_norm(x, 2, w, b); }},
      {"batch_norm", [](const Operand& x, const Operand& w,
                        const Operand& b) { return batch_norm(x, {}, w, b, {.training = true}); }},
      {"batch_norm of running statistics",
       [](const Operand& x, const Operand& w, const Operand& b) {
         return batch_norm(x,
                           {Tensor::full({x.size(1)}, 0.3, float32, x.device()),
                            Tensor::full({x.size(1)}, 1.7, float32, x.device())},
                           w, b);
       }},
  };
}

struct Gradients {
  Tensor y, dx, dw, db;

  Gradients(const WithParameters& run, Tensor x, Tensor w, Tensor b, const Tensor& dy) {
    Tape tape;
    tape.watch(x);
    tape.watch(w);
    tape.watch(b);
    y = run(x, w, b);
    tape.backward(y, dy.to(y.dtype()));
    dx = tape.gradient(x);
    dw = tape.gradient(w);
    db = tape.gradient(b);
  }
};

// A bfloat16 x beside float32 parameters is what float32 gives of the same x, rounded once.
TEST(NormsInBFloat16, AreWhatFloat32GivesRoundedOnce) {
  for (const Device device : available_devices()) {
    const Tensor x = randn({3, 4, 4}).to(bfloat16).to(device);
    const Tensor w = randn({4}).to(device);
    const Tensor b = randn({4}).to(device);
    const Tensor dy = randn({3, 4, 4}).to(bfloat16).to(device);
    for (const auto& [name, run] : with_parameters()) {
      SCOPED_TRACE(std::string(name) + " on " + to_string(device));
      const Gradients got(run, x, w, b, dy);
      const Gradients wide(run, x.to(float32), w, b, dy.to(float32));
      EXPECT_EQ(got.y.dtype(), bfloat16);
      EXPECT_EQ(got.dx.dtype(), bfloat16);
      EXPECT_EQ(got.dw.dtype(), float32);
      EXPECT_EQ(values_of(got.y), values_of(wide.y.to(bfloat16)));
      EXPECT_EQ(values_of(got.dx), values_of(wide.dx.to(bfloat16)));
      EXPECT_EQ(values_of(got.dw), values_of(wide.dw));
      EXPECT_EQ(values_of(got.db), values_of(wide.db));
    }
  }
}

// ---- running statistics -------------------------------------------------------------------------

RunningStatistics fresh_statistics(int64_t channels, Device device) {
  return {Tensor::zeros({channels}, float32, device), Tensor::ones({channels}, float32, device),
          Tensor::zeros({}, int64, device)};
}

// Of batches (4, 1) with these values.
RunningStatistics after(const std::vector<std::vector<float>>& batches,
                        std::optional<double> momentum, Device device, DType dtype = float32) {
  RunningStatistics running = fresh_statistics(1, device);
  for (const std::vector<float>& batch : batches) {
    const Tensor x = tensor(batch, {4, 1}).to(dtype).to(device);
    batch_norm(x, running, Tensor(), Tensor(), {.training = true, .momentum = momentum});
  }
  return running;
}

TEST(BatchNorm, RunningStatisticsFollowTheBatches) {
  for (const Device device : available_devices()) {
    for (const DType dtype : {float32, bfloat16}) {
      // Means 1.5 and 5, unbiased variances 5/3 and 20/3.
      const std::vector<std::vector<float>> batches = {{0, 1, 2, 3}, {2, 4, 6, 8}};
      const RunningStatistics moved = after(batches, 0.25, device, dtype);
      EXPECT_FLOAT_EQ(static_cast<float>(moved.mean.item()), 0.75f * 0.375f + 0.25f * 5);
      const double first = 0.75 + 0.25 * 5 / 3;
      EXPECT_FLOAT_EQ(static_cast<float>(moved.variance.item()),
                      static_cast<float>(0.75 * first + 0.25 * 20 / 3));
      EXPECT_EQ(moved.batches.item(), 2);
      const RunningStatistics averaged = after(batches, std::nullopt, device, dtype);
      EXPECT_FLOAT_EQ(static_cast<float>(averaged.mean.item()), 3.25f);
      EXPECT_FLOAT_EQ(static_cast<float>(averaged.variance.item()), 25.0f / 6);
      EXPECT_EQ(averaged.batches.item(), 2);
    }
  }
}

TEST(BatchNorm, StatisticsRestOutsideOfTrainingAndWithoutElements) {
  for (const Device device : available_devices()) {
    const RunningStatistics running = fresh_statistics(2, device);
    batch_norm(randn({3, 2}).to(device), running);
    batch_norm(Tensor::zeros({0, 2}, float32, device), running, Tensor(), Tensor(),
               {.training = true});
    EXPECT_EQ(values_of(running.mean), (std::vector<double>{0, 0}));
    EXPECT_EQ(values_of(running.variance), (std::vector<double>{1, 1}));
    EXPECT_EQ(running.batches.item(), 0);
  }
}

TEST(BatchNorm, BackwardRefusesRunningStatisticsThatMoved) {
  Tape tape;
  Tensor x = randn({3, 2});
  tape.watch(x);
  const RunningStatistics running = fresh_statistics(2, cpu);
  const Tensor y = batch_norm(x, running);
  batch_norm(randn({3, 2}), running, Tensor(), Tensor(), {.training = true});
  EXPECT_THROW(tape.backward(y, Tensor::ones({3, 2})), TapeError);
}

// Training goes on writing to them while earlier steps of the tape wait for backward.
TEST(BatchNorm, TrainingTwiceOnOneTapeIsNoFault) {
  Tape tape;
  Tensor x = randn({3, 2});
  tape.watch(x);
  const RunningStatistics running = fresh_statistics(2, cpu);
  const Tensor once = batch_norm(x, running, Tensor(), Tensor(), {.training = true});
  const Tensor twice = batch_norm(once, running, Tensor(), Tensor(), {.training = true});
  tape.backward(twice, Tensor::ones({3, 2}));
  EXPECT_EQ(running.batches.item(), 2);
}

// ---- bits ---------------------------------------------------------------------------------------

TEST(Norms, BitsDoNotDependOnTheNumberOfThreads) {
  const int threads = num_threads();
  const Tensor w = randn({40});
  const Tensor b = randn({40});
  for (const MemoryFormat format : {row_major, channels_last}) {
    const Tensor x = randn({90, 40, 40}).to(format);
    const Tensor dy = randn({90, 40, 40}).to(format);
    for (const auto& [name, run] : with_parameters()) {
      set_num_threads(1);
      const Gradients alone(run, x, w, b, dy);
      set_num_threads(3);
      const Gradients shared(run, x, w, b, dy);
      set_num_threads(threads);
      EXPECT_EQ(values_of(alone.y), values_of(shared.y)) << name;
      EXPECT_EQ(values_of(alone.dx), values_of(shared.dx)) << name;
      EXPECT_EQ(values_of(alone.dw), values_of(shared.dw)) << name;
      EXPECT_EQ(values_of(alone.db), values_of(shared.db)) << name;
    }
  }
}

}  // namespace
}  // namespace warptape
