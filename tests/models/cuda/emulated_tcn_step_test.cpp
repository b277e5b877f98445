// What a training step of a TCN asks of a GPU: nothing runs, launches are noted.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>

#include "core/random.h"
#include "core/tape.h"
#include "emulator/device/dry_run.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/losses/losses.h"
#include "models/tcn.h"
#include "tests/core/device/gpu_test.h"
#include "training/optimizers.h"

namespace warptape {
namespace {

using gpu::emulated::DryLaunch;
using gpu::emulated::DryRun;

class EmulatedTcnStep : public GpuTest {};

struct Sizes {
  int64_t batch;
  int64_t inputs;  // channels of the sequence
  int64_t blocks;
  int64_t channels;
  int64_t kernel_size;
  double dropout;
  int64_t length;
  bool is_regression;  // of one number by its squared error
};

// The published tasks of the TCN, and one of powers of two.
constexpr Sizes adding{32, 2, 8, 30, 7, 0, 600, true};
constexpr Sizes pixels{64, 1, 8, 25, 7, 0.05, 784, false};
constexpr Sizes c64{16, 64, 4, 64, 3, 0.2, 1024, false};

struct Step {
  std::map<std::string, int> counts;        // launches, by name
  std::map<std::string, double> megabytes;  // of the tensors that each kernel is given
  int launches = 0;
  int64_t fewest_blocks = INT64_MAX;  // of a convolution
};

// The second step; the first one makes buffers.
Step second_step_of(const Sizes& sizes) {
  TCN::Options options;
  options.output_size = sizes.is_regression ? 1 : 10;
  options.net.input_channels = sizes.inputs;
  options.net.channels.assign(static_cast<size_t>(sizes.blocks), sizes.channels);
  options.net.kernel_size = sizes.kernel_size;
  options.net.block.dropout = sizes.dropout;
  TCN model(options);
  model.to(cuda);
  DryRun dry;
  Adam optimizer(parameters(model), {.lr = 0.002});
  const Tensor x = Tensor::empty({sizes.batch, sizes.inputs, sizes.length}, float32, cuda,
                                 MemoryFormat::ChannelsLast);
  const Tensor labels = Tensor::empty({sizes.batch}, int64, cuda);
  const Tensor numbers = Tensor::empty({sizes.batch, 1}, float32, cuda);
  for (int i = 0; i < 2; ++i) {
    dry.take_launches();
    optimizer.zero_grad();
    Tape tape;
    const Tensor y = model(x);
    tape.backward(sizes.is_regression ? mse_loss(y, numbers) : cross_entropy(y, labels));
    optimizer.step();
  }
  Step result;
  for (const DryLaunch& launch : dry.take_launches()) {
    ++result.launches;
    if (launch.name == "conv1d") {
      result.fewest_blocks = std::min(result.fewest_blocks, launch.blocks());
    }
    ++result.counts[launch.name];
    result.megabytes[launch.name] += 1e-6 * static_cast<double>(launch.bytes);
  }
  return result;
}

// All but a twentieth of 132 multiprocessors: a split has whole steps, so there may be fewer splits
// than were asked for.
TEST_F(EmulatedTcnStep, ConvolutionsFillTheChip) {
  for (const Sizes& sizes : {adding, pixels, c64}) {
    EXPECT_GE(second_step_of(sizes).fewest_blocks, 126);
  }
}

// What kernels must move that do all of a residual step on the way, in tensors of (batch, channels,
// length) per block: each of two convolutions reads its input and writes its output, and its
// gradients read that of the output twice, the input, and write that of the input; the residual is
// read, forward and backward. No parameters, and no head.
double floor_megabytes(const Sizes& sizes) {
  constexpr double tensors = 2 * (2 + 4) + 2;
  return tensors * 1e-6 * 4 *
         static_cast<double>(sizes.blocks * sizes.batch * sizes.channels * sizes.length);
}

TEST_F(EmulatedTcnStep, LaunchesAreFew) {
  for (const Sizes& sizes : {adding, pixels, c64}) {
    Step step = second_step_of(sizes);
    EXPECT_LE(step.launches, 6 * sizes.blocks + 9) << testing::PrintToString(step.counts);
    EXPECT_EQ(step.counts.count("transpose"), 0U) << "nothing is laid out anew";
    EXPECT_EQ(step.counts.count("relu"), 0U) << "convolutions do it";
    EXPECT_EQ(step.counts.count("dropout"), 0U);
    EXPECT_EQ(step.counts.count("add"), 0U);
    EXPECT_EQ(step.counts.count("weight_norm_forward"), 0U) << "the last step's update did it";
    EXPECT_EQ(step.counts["optimizer_step"], 1);
    EXPECT_EQ(step.counts["weight_norm_backward"], 1);
  }
}

// Of the convolutions. Their plans' partial sums count as well, although the cache of level 2 has
// them all the while; what is written where it was read counts once.
TEST_F(EmulatedTcnStep, MovesLittleMemory) {
  for (const Sizes& sizes : {adding, pixels, c64}) {
    Step step = second_step_of(sizes);
    EXPECT_LE(step.megabytes["conv1d"], 1.2 * floor_megabytes(sizes))
        << testing::PrintToString(step.megabytes);
  }
}

}  // namespace
}  // namespace warptape
