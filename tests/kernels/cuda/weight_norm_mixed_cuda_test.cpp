// Weight norm whose w is bfloat16 beside float32 v and g: what float32 gives, rounded once, on
// every path of the kernels.

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "core/check.h"
#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "kernels/weight_norm/weight_norm.h"
#include "kernels/weight_norm/weight_norm_geometry.h"
#include "tests/core/device/gpu_test.h"
#include "tests/support/allocations.h"

namespace warptape {
namespace {

using weight_norm_detail::geometry;
using weight_norm_detail::Layout;

std::vector<uint16_t> bits_of(const Tensor& tensor) {
  std::vector<uint16_t> bits;
  for (const simt::bfloat16 each : tensor.to(cpu).to_vector<simt::bfloat16>()) {
    bits.push_back(each.bits);
  }
  return bits;
}

// The last row is one of zeros. Gains are of all sizes: some w are no normal bfloat16, some round
// to infinity.
struct Weight {
  Tensor v, g;
  Weight(int64_t rows, int64_t length, Device device) {
    manual_seed(static_cast<uint64_t>(length));
    std::vector<float> values = randn({rows, length}).to_vector<float>();
    std::fill_n(values.end() - static_cast<std::ptrdiff_t>(length), length, 0.0f);
    v = tensor(values, {rows, length}).to(device);
    std::vector<float> gains = randn({rows}).to_vector<float>();
    gains[0] *= 0x1p-120f;
    gains[1] = length == 1 ? std::numeric_limits<float>::max() : gains[1];
    g = tensor(gains, {rows, 1}).to(device);
  }
};

class WeightNormMixedCuda : public GpuTest {};

void expect_rounded_once(const Tensor& v, const Tensor& g) {
  const PoisonedAllocations poisoned;
  const Tensor wide = weight_norm(v, g);
  const Tensor w = weight_norm(v, g, {.dtype = bfloat16});
  ASSERT_EQ(w.dtype(), bfloat16);
  EXPECT_EQ(w.shape(), v.shape());
  EXPECT_EQ(w.memory_format(), v.memory_format());
  EXPECT_EQ(bits_of(w), bits_of(wide.to(cpu).to(bfloat16)));
}

struct Path {
  int64_t rows, length;
  Layout layout;
  int lanes;
};

// Rows of a thread, of a warp and of teams, in blocks that are not full; rows that do not begin at
// a pack; a split one whose last chunk is short.
const std::vector<Path>& paths() {
  static const std::vector<Path> all{
      {67, 1, Layout::Staged, 1},    {67, 5, Layout::Staged, 1},      {131, 26, Layout::Staged, 1},
      {35, 63, Layout::Staged, 1},   {9, 65, Layout::Staged, 32},     {70, 147, Layout::Staged, 32},
      {7, 4, Layout::Team, 1},       {7, 8, Layout::Team, 2},         {5, 128, Layout::Team, 32},
      {5, 576, Layout::Team, 64},    {5, 577, Layout::Team, 64},      {3, 1026, Layout::Team, 128},
      {3, 4099, Layout::Team, 512},  {2, 16'384, Layout::Team, 1024}, {3, 16'385, Layout::Split, 1},
      {2, 20'004, Layout::Split, 1},
  };
  return all;
}

TEST_F(WeightNormMixedCuda, EveryPathGivesWhatFloat32GivesRounded) {
  for (const auto& [rows, length, layout, lanes] : paths()) {
    SCOPED_TRACE(fmt::format("{} rows of {}", rows, length));
    EXPECT_EQ(geometry<float>(length, 1, true).layout, layout);
    EXPECT_EQ(geometry<float>(length, 1, true).lanes, lanes);
    const Weight weight(rows, length, cuda);
    expect_rounded_once(weight.v, weight.g);
  }
}

TEST_F(WeightNormMixedCuda, TensorsThatStartAnywhere) {
  for (const int64_t length : {1, 5, 8, 65, 577, 16'385}) {
    SCOPED_TRACE(length);
    Weight weight(4, length, cuda);
    {
      const OffsetAllocations offset;  // w alone, at 2 bytes behind a multiple of 16
      expect_rounded_once(weight.v, weight.g);
    }
    Tensor longer = Tensor::zeros({4 * length + 1}, float32, cuda);
    Tensor part = longer.slice(1, 4 * length + 1);
    primitives::copy(weight.v.view({4 * length}), part);
    expect_rounded_once(part.view({4, length}), weight.g);
  }
}

TEST_F(WeightNormMixedCuda, ChannelsLast) {
  const Tensor v = randn({6, 5, 3, 2}).to(MemoryFormat::ChannelsLast).to(cuda);
  expect_rounded_once(v, randn({6, 1, 1, 1}).to(cuda));
}

// One launch forward for each kind of w; one record, whose gradients are those of each alone.
TEST_F(WeightNormMixedCuda, BothKindsTogetherTakeALaunchEach) {
  const std::vector<int64_t> lengths{27, 576, 147, 64, 577};
  std::vector<Parameter> v, g;
  std::vector<WeightNormCache> caches(lengths.size());
  std::vector<WeightNormUse> uses;
  std::vector<Tensor> factors;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const Weight weight(3, lengths[i], cuda);
    v.emplace_back(weight.v);
    g.emplace_back(weight.g);
    factors.push_back(randn({3, lengths[i]}).to(cuda));
    uses.push_back({v[i], g[i], &caches[i]});
    if (i % 2 == 0) {
      uses.back().options.dtype = bfloat16;
    }
  }
  Tape tape;
  const uint64_t before = gpu::launches;
  weight_norm_together(uses);
  EXPECT_EQ(gpu::launches - before, 2U);
  weight_norm_together(uses);
  EXPECT_EQ(gpu::launches - before, 2U) << "all are fresh";
  EXPECT_EQ(tape.num_records(), 1U);
  Tensor loss;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const Tensor term = sum(mul(caches[i].w.to(float32), factors[i]));
    loss = loss.defined() ? add(loss, term) : term;
  }
  tape.backward(loss);
  for (size_t i = 0; i < lengths.size(); ++i) {
    const DType dtype = i % 2 == 0 ? bfloat16 : float32;
    const Parameter v_alone(v[i].value().detach().clone());
    const Parameter g_alone(g[i].value().detach().clone());
    Tape alone;
    const Tensor w = weight_norm(v_alone, g_alone).to(dtype);
    EXPECT_EQ(caches[i].w.dtype(), dtype);
    EXPECT_EQ(caches[i].w.to(float32).to_vector<float>(), w.to(float32).to_vector<float>());
    alone.backward(sum(mul(w.to(float32), factors[i])));
    EXPECT_EQ(v[i].grad().to_vector<float>(), v_alone.grad().to_vector<float>()) << i;
    EXPECT_EQ(g[i].grad().to_vector<float>(), g_alone.grad().to_vector<float>()) << i;
  }
}

}  // namespace
}  // namespace warptape
