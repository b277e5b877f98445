// What a training step of SimpleCNN launches on a GPU, at the batch size that is measured there:
// nothing runs, launches are noted.

#include <gtest/gtest.h>

#include <map>

#include "core/random.h"
#include "core/tape.h"
#include "emulator/device/dry_run.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "models/simple_cnn.h"
#include "tests/core/device/gpu_test.h"
#include "training/optimizer.h"

namespace warptape {
namespace {

using gpu::emulated::DryLaunch;
using gpu::emulated::DryRun;

class EmulatedStep : public GpuTest {};

TEST_F(EmulatedStep, LaunchesAreFew) {
  constexpr Device cuda{DeviceType::CUDA, 0};
  constexpr int64_t batch = 512;
  DryRun dry;
  SimpleCNN model(3, 10);
  model.to(cuda);
  SGD optimizer(parameters(model), {.lr = 0.01, .momentum = 0.9});
  // As image_batch makes them.
  const Tensor images =
      Tensor::empty({batch, 3, 32, 32}, float32, cuda, MemoryFormat::ChannelsLast);
  const Tensor labels = Tensor::empty({batch}, int64, cuda);
  for (int step = 0; step < 2; ++step) {  // the first one makes buffers
    dry.take_launches();
    optimizer.zero_grad();
    Tape tape;
    tape.backward(cross_entropy(model(images), labels));
    optimizer.step();
  }
  std::map<std::string, int> counts;
  const std::vector<DryLaunch> launches = dry.take_launches();
  for (const DryLaunch& launch : launches) {
    ++counts[launch.name];
  }
  EXPECT_EQ(launches.size(), 28U) << testing::PrintToString(counts);
  EXPECT_EQ(counts["weight_norm_forward"], 1) << "of all weights";
  EXPECT_EQ(counts["weight_norm_backward"], 1);
  EXPECT_EQ(counts["copy"], 2) << "flatten, there and back; no weight is laid out anew";
  // conv1 and conv2 forward, gradients of both filters and of conv2's input; a sum of splits for
  // either filter's, in which their bias's is made.
  EXPECT_EQ(counts["conv2d"], 7);
  // Three products per layer, ReLU's gradient, three sums of splits.
  EXPECT_EQ(counts["linear_relu_linear"], 10);
}

}  // namespace
}  // namespace warptape
