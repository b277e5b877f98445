// What a training step of SimpleCNN asks of a GPU and of the host: nothing runs, launches are
// noted.

#include <gtest/gtest.h>

#include <map>

#include "core/random.h"
#include "core/tape.h"
#include "emulator/device/dry_run.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "models/simple_cnn.h"
#include "tests/core/device/gpu_test.h"
#include "tests/support/heap_count.h"
#include "training/optimizers.h"
#include "training/scalar_reader.h"

namespace warptape {
namespace {

using gpu::emulated::DryLaunch;
using gpu::emulated::DryRun;

constexpr Device cuda{DeviceType::CUDA, 0};

// As the trainer makes its steps. What it allocates lives no longer than its DryRun.
class Training {
 public:
  Training() { model_.to(cuda); }

  DryRun& dry() { return dry_; }
  size_t records() const { return records_; }  // of the last step
  size_t num_parameters() { return parameters(model_).size(); }

  void step(int64_t batch) {
    optimizer_.zero_grad();
    Tape tape;
    const Tensor loss = cross_entropy(model_(images(batch)), labels(batch));
    records_ = tape.num_records();
    tape.backward(loss);
    optimizer_.step();
    losses_->push({loss});
    while (losses_->waiting() > losses_->worth_waiting()) {
      losses_->pop();
    }
  }
  void evaluate(int64_t batch) { cross_entropy(model_(images(batch)), labels(batch)); }

 private:
  // As image_batch makes them.
  static Tensor images(int64_t batch) {
    return Tensor::empty({batch, 3, 32, 32}, float32, cuda, MemoryFormat::ChannelsLast);
  }
  static Tensor labels(int64_t batch) { return Tensor::empty({batch}, int64, cuda); }

  DryRun dry_;
  SimpleCNN model_{3, 10};
  SGD optimizer_{parameters(model_), {.lr = 0.01, .momentum = 0.9}};
  std::unique_ptr<ScalarReader> losses_ = ScalarReader::make(cuda);
  size_t records_ = 0;
};

class EmulatedStep : public GpuTest {};

TEST_F(EmulatedStep, LaunchesAreFew) {
  Training training;
  training.step(512);  // makes buffers
  training.dry().take_launches();
  training.step(512);
  std::map<std::string, int> counts;
  const std::vector<DryLaunch> launches = training.dry().take_launches();
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

TEST_F(EmulatedStep, AsksTheDriverForNoMemory) {
  Training training;
  const auto epoch = [&] {  // the last batch is a smaller one
    training.step(16);
    training.step(16);
    training.step(7);
    training.evaluate(32);
  };
  epoch();
  const MemoryStats before = memory_stats(cuda);
  epoch();
  const MemoryStats after = memory_stats(cuda);
  EXPECT_GT(after.allocations, before.allocations + 100) << "there was nothing to serve";
  EXPECT_EQ(after.device_allocations, before.device_allocations);
  EXPECT_EQ(after.reserved_bytes, before.reserved_bytes);
}

TEST_F(EmulatedStep, AsksTheHostForLittleMemory) {
  if (!counts_heap_allocations()) {
    GTEST_SKIP() << "under sanitizers nothing is counted";
  }
  Training training;
  for (int i = 0; i < 3; ++i) {
    training.step(16);
  }
  const uint64_t storages_before = memory_stats(cuda).allocations;
  const uint64_t before = heap_allocations();
  training.step(16);
  const uint64_t allocations = heap_allocations() - before;
  const uint64_t storages = memory_stats(cuda).allocations - storages_before;
  // A storage is one. An op's record has its function, the list of what its backward handed out,
  // and a few lists that the op makes for its call; a parameter has its place in the tape, and
  // entries in the lists of the optimizer and of weight norm.
  EXPECT_LE(allocations, storages + 5 * training.records() + 3 * training.num_parameters());
}

}  // namespace
}  // namespace warptape
