// The kernels of normalisations on the GPU: chunks, plans, launches, captured steps.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "core/check.h"
#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/normalize/normalize.h"
#include "kernels/normalize/normalize_cuda.h"
#include "kernels/ops.h"
#include "tests/core/device/gpu_test.h"

namespace warptape {
namespace {

class NormsCuda : public GpuTest {};

using normalize::make_sets_plan;
using normalize::Sets;
using normalize::SetsPlan;

constexpr MemoryFormat row_major = MemoryFormat::RowMajor;
constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

using NormFunction = std::function<Tensor(const Operand& x, const Operand& w, const Operand& b)>;

struct Results {
  Tensor y, dx, dw, db;
};

Results results_of(const NormFunction& run, Tensor x, Tensor w, Tensor b, const Tensor& dy) {
  Tape tape;
  tape.watch(x);
  tape.watch(w);
  tape.watch(b);
  const Tensor y = run(x, w, b);
  tape.backward(y, dy);
  return {y, tape.gradient(x), tape.gradient(w), tape.gradient(b)};
}

void expect_near(const Tensor& got, const Tensor& wanted, const char* what) {
  const auto a = primitives::relayout(got.to(cpu), row_major).to_vector<double>();
  const auto b = primitives::relayout(wanted, row_major).to_vector<double>();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_NEAR(a[i], b[i], 1e-11 * std::max(1.0, std::abs(b[i]))) << what << ", element " << i;
  }
}

// As the CPU has them, and the same bits again.
void expect_as_on_cpu(const char* name, const NormFunction& run, const Shape& shape,
                      int64_t parameters, MemoryFormat format = row_major) {
  SCOPED_TRACE(fmt::format("{} {} {}", name, shape, to_string(format)));
  const Tensor x = randn(shape, float64).to(format);
  const Tensor dy = randn(shape, float64).to(format);
  const Tensor w = randn({parameters}, float64);
  const Tensor b = randn({parameters}, float64);
  const Results wanted = results_of(run, x, w, b, dy);
  const Results got = results_of(run, x.to(cuda), w.to(cuda), b.to(cuda), dy.to(cuda));
  expect_near(got.y, wanted.y, "y");
  expect_near(got.dx, wanted.dx, "dx");
  expect_near(got.dw, wanted.dw, "dw");
  expect_near(got.db, wanted.db, "db");
  const Results again = results_of(run, x.to(cuda), w.to(cuda), b.to(cuda), dy.to(cuda));
  EXPECT_EQ(got.dx.to(cpu).to_vector<double>(), again.dx.to(cpu).to_vector<double>());
  EXPECT_EQ(got.dw.to(cpu).to_vector<double>(), again.dw.to(cpu).to_vector<double>());
}

Tensor batch_normalised(const Operand& x, const Operand& w, const Operand& b) {
  return batch_norm(x, {}, w, b, {.training = true});
}
Tensor layer_normalised(const Operand& x, const Operand& w, const Operand& b) {
  return layer_norm(x, {x.size(-1)}, w, b);
}
Tensor group_normalised(const Operand& x, const Operand& w, const Operand& b) {
  return group_norm(x, 2, w, b);
}

// Each of these has several chunks (the plans below), whose last block finishes.
TEST_F(NormsCuda, ChunksGiveWhatTheCpuGives) {
  ASSERT_GT(make_sets_plan<double>({1, 600, 12, 1}, true).chunks, 1);
  expect_as_on_cpu("columns", batch_normalised, {600, 12}, 12);
  ASSERT_GT(make_sets_plan<double>({1, 600, 3, 3}, false).chunks, 1);
  expect_as_on_cpu("short runs", batch_normalised, {600, 3, 3}, 3);
  ASSERT_GT(make_sets_plan<double>({1, 2, 3, 2100}, true).chunks, 1);
  expect_as_on_cpu("runs", batch_normalised, {2, 3, 2100}, 3);
  ASSERT_GT(make_sets_plan<double>({1, 5, 3, 607}, true).chunks, 1);
  expect_as_on_cpu("odd runs", batch_normalised, {5, 3, 607}, 3);
  expect_as_on_cpu("places", layer_normalised, {600, 12}, 12);
  expect_as_on_cpu("runs of places", layer_normalised, {2, 2100, 3}, 3, channels_last);
  ASSERT_GT(make_sets_plan<double>({2, 1, 2, 4200}, true).chunks, 1);
  expect_as_on_cpu("groups", group_normalised, {2, 4, 2100}, 4);
  ASSERT_GT(make_sets_plan<double>({1, 1100, 2, 4}, true).chunks, 1);
  expect_as_on_cpu("groups", group_normalised, {1, 8, 1100}, 8, channels_last);
}

// Samples and channels enough that threads of a block share the last sums.
TEST_F(NormsCuda, GroupsOfManySamples) {
  expect_as_on_cpu("groups", group_normalised, {70, 66, 2}, 66);
  expect_as_on_cpu("groups", group_normalised, {70, 66, 2}, 66, channels_last);
}

// ---- plans --------------------------------------------------------------------------------------

std::string text_of(const SetsPlan& plan) {
  return fmt::format("{} of {}{}, {} x {} blocks", plan.columns ? "columns" : "runs", plan.lanes,
                     plan.packed ? " packs" : "", plan.blocks, plan.chunks);
}

TEST(NormPlans, FewChannelsFillTheGpu) {
  // 16 channels of images of 56 x 56, and of vectors.
  EXPECT_EQ(text_of(make_sets_plan<float>({1, 64, 16, 3136}, true)),
            "runs of 256 packs, 16 x 16 blocks");
  EXPECT_EQ(text_of(make_sets_plan<float>({1, 200704, 16, 1}, true)),
            "columns of 4 packs, 1 x 262 blocks");
  EXPECT_EQ(text_of(make_sets_plan<float>({1, 65536, 64, 1}, true)),
            "columns of 8 packs, 2 x 128 blocks");
  EXPECT_EQ(text_of(make_sets_plan<float>({1, 65536, 1, 1}, true)),
            "runs of 256 packs, 1 x 16 blocks");
}

TEST(NormPlans, ManyChannelsTakeOneBlockEach) {
  EXPECT_EQ(text_of(make_sets_plan<float>({1, 8, 1024, 784}, true)),
            "runs of 256 packs, 1024 x 1 blocks");
  // So little that a few threads are enough.
  EXPECT_EQ(text_of(make_sets_plan<float>({32, 1, 512, 64}, true)),
            "runs of 4 packs, 256 x 1 blocks");
}

TEST(NormPlans, PacksWhereRunsAreWholeAndAligned) {
  EXPECT_EQ(text_of(make_sets_plan<float>({1, 8, 1024, 784}, false)),
            "runs of 256, 1024 x 1 blocks");
  EXPECT_EQ(text_of(make_sets_plan<float>({1, 8, 1024, 49}, true)), "runs of 256, 1024 x 1 blocks");
  EXPECT_EQ(text_of(make_sets_plan<float>({1, 512, 6, 2}, true)),
            "columns of 3 packs, 1 x 1 blocks");
  EXPECT_EQ(text_of(make_sets_plan<float>({1, 512, 5, 3}, true)), "columns of 15, 1 x 7 blocks");
  EXPECT_EQ(text_of(make_sets_plan<simt::bfloat16>({1, 4096, 64, 1}, true)),
            "columns of 8 packs, 1 x 32 blocks");
}

// ---- launches and graphs ------------------------------------------------------------------------

TEST_F(NormsCuda, LaunchesOfAStep) {
  const auto launches = [](const NormFunction& run, MemoryFormat format) {
    const Tensor dy = randn({2, 8, 12}).to(cuda).to(format);
    Tensor x = randn({2, 8, 12}).to(cuda).to(format);
    Parameter w(randn({8}).to(cuda));
    Parameter b(randn({8}).to(cuda));
    Tape tape;
    tape.watch(x);
    const uint64_t before = gpu::launches;
    const Tensor y = run(x, w, b);
    const uint64_t forward = gpu::launches - before;
    tape.backward(y, dy);
    // The tape copies dy.
    return std::pair(forward, gpu::launches - before - forward - 1);
  };
  using Counts = std::pair<uint64_t, uint64_t>;
  for (const MemoryFormat format : {row_major, channels_last}) {
    EXPECT_EQ(launches(batch_normalised, format), Counts(2, 2));
    EXPECT_EQ(launches(group_normalised, format), Counts(2, 3));
  }
  const NormFunction layer = [](const Operand& x, const Operand& w, const Operand& b) {
    return layer_norm(x.view({24, 8}), {8}, w, b).view({2, 8, 12});
  };
  EXPECT_EQ(launches(layer, row_major), Counts(1, 2));
}

// Running statistics are part of a captured step: each replay moves them. The kernels alone, as
// tensors are not made in a capture.
TEST_F(NormsCuda, ACapturedStepMovesTheRunningStatistics) {
  const gpu::Stream stream;
  const gpu::StreamScope scope(stream);
  const Sets sets{1, 600, 12, 1};
  const SetsPlan plan = make_sets_plan<float>(sets, true);
  ASSERT_GT(plan.chunks, 1);
  const Tensor x = randn({600, 12}).to(cuda);
  Tensor y = Tensor::empty({600, 12}, float32, cuda);
  Tensor statistics = normalize::empty_pairs(12, cuda);
  Tensor sums = normalize::empty_pairs(plan.partials(4), cuda);
  Tensor arrivals = Tensor::zeros({plan.counters()}, int64, cuda);
  const auto fresh = [] {
    return RunningStatistics{Tensor::zeros({12}, float32, cuda), Tensor::ones({12}, float32, cuda),
                             Tensor::zeros({}, int64, cuda)};
  };
  for (const double momentum : {0.1, -1.0}) {
    const RunningStatistics eager = fresh();
    for (int step = 0; step < 3; ++step) {
      batch_norm(x, eager, Tensor(), Tensor(),
                 {.training = true,
                  .momentum = momentum < 0 ? std::nullopt : std::optional<double>(momentum)});
    }
    const RunningStatistics replayed = fresh();
    Tensor batches = replayed.batches;
    using Cuda = normalize::NormalizeCuda<float>;
    const auto keep = normalize::keeper<float>(
        statistics, 600, 1e-5, momentum, {replayed.mean, replayed.variance, replayed.batches});
    const normalize::Normalize<float> op{
        .source = {.kept = normalize::SourceTensors::pairs<normalize::Statistics>(statistics),
                   .index = {.set = 1}},
        .batches = batches.mutable_data<int64_t>()};
    const gpu::Graph graph(stream, [&] {
      Cuda::statistics("statistics", stream.handle(), plan, x.data<float>(), keep,
                       normalize::mutable_pairs<normalize::Sums>(sums),
                       reinterpret_cast<unsigned long long*>(arrivals.mutable_data<int64_t>()));
      Cuda::apply("apply", stream.handle(), plan, op, x.data<float>(), y.mutable_data<float>(),
                  false);
    });
    EXPECT_EQ(replayed.batches.item(), 0);
    for (int step = 0; step < 3; ++step) {
      graph.launch(stream.handle());
    }
    EXPECT_EQ(replayed.batches.item(), 3);
    EXPECT_EQ(replayed.mean.to_vector<float>(), eager.mean.to_vector<float>());
    EXPECT_EQ(replayed.variance.to_vector<float>(), eager.variance.to_vector<float>());
  }
}

}  // namespace
}  // namespace warptape
