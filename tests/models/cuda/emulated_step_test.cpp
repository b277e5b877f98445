// What a training step of SimpleCNN asks of a GPU and of the host: nothing runs, launches are
// noted.

#include <gtest/gtest.h>

#include <map>

#include "core/random.h"
#include "core/tape.h"
#include "emulator/device/dry_run.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/vendor/gpu_libraries.h"
#include "layers/precision.h"
#include "models/simple_cnn.h"
#include "tests/core/device/gpu_test.h"
#include "tests/models/plain_models.h"
#include "tests/support/heap_count.h"
#include "training/optimizers.h"
#include "training/scalar_reader.h"

namespace warptape {
namespace {

using gpu::emulated::DryLaunch;
using gpu::emulated::DryRun;

// As the trainer makes its steps. It and the model live no longer than the DryRun.
class Training {
 public:
  explicit Training(Module& model) : model_(model) { model_.to(cuda); }

  size_t records() const { return records_; }  // of the last step
  size_t num_parameters() { return parameters(model_).size(); }

  void step(int64_t batch) {
    optimizer_.zero_grad();
    Tape tape;
    const Tensor loss = cross_entropy(in_float32(model_(images(batch))), labels(batch));
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

  Module& model_;
  SGD optimizer_{parameters(model_), {.lr = 0.01, .momentum = 0.9}};
  std::unique_ptr<ScalarReader> losses_ = ScalarReader::make(cuda);
  size_t records_ = 0;
};

class EmulatedStep : public GpuTest {};

struct Step {
  std::map<std::string, int> counts;  // launches, by name
  std::map<std::string, double> megabytes;
  double total_megabytes = 0;
};

// The second step; the first one makes buffers. Bytes are those of the tensors that each kernel is
// given, each once per kernel, read or written. That is what memory has to move where the cache
// holds what a kernel reads again, and nothing from one kernel to the next. A GPU's own count is
// another one: its cache keeps some of what the last kernel wrote.
Step second_step_of(Module& model, DryRun& dry) {
  Training training(model);
  training.step(512);
  dry.take_launches();
  training.step(512);
  Step result;
  constexpr size_t large = size_t{8} << 20;
  for (const DryLaunch& launch : dry.take_launches()) {
    if (launch.largest_bytes >= large) {
      EXPECT_GE(launch.blocks(), 132) << launch.name << " leaves multiprocessors of an H100 idle";
    }
    ++result.counts[launch.name];
    result.megabytes[launch.name] += 1e-6 * static_cast<double>(launch.bytes);
    result.total_megabytes += 1e-6 * static_cast<double>(launch.bytes);
  }
  return result;
}

int total(const std::map<std::string, int>& counts) {
  int sum = 0;
  for (const auto& [name, count] : counts) {
    sum += count;
  }
  return sum;
}

TEST_F(EmulatedStep, LaunchesAreFew) {
  DryRun dry;
  SimpleCNN model(3, 10);
  auto [counts, megabytes, total_megabytes] = second_step_of(model, dry);
  EXPECT_EQ(total(counts), 16) << testing::PrintToString(counts);
  EXPECT_EQ(counts.count("weight_norm_forward"), 0U) << "the last step's update left the weights";
  EXPECT_EQ(counts["optimizer_step"], 1);
  EXPECT_EQ(counts["weight_norm_backward"], 1);
  EXPECT_EQ(counts.count("copy"), 0U) << "nothing is laid out anew";
  EXPECT_EQ(counts.count("relu"), 0U) << "others do it";
  EXPECT_EQ(counts.count("max_pool2d"), 0U) << "convolutions do it";
  EXPECT_EQ(counts["max_pool2d_backward"], 2);
  EXPECT_EQ(counts["conv2d_max_pool2d"], 2) << "with ReLU and pooling";
  // Gradients of both filters, in which their bias's is made, and of conv2's input.
  EXPECT_EQ(counts["conv2d"], 3);
  EXPECT_EQ(counts["linear"], 6) << "three products per layer, with ReLU's gradient in one";
  // 858 MB. Writing what the convolutions make and reading it again was 402 more, laying the pooled
  // images out anew for fc1, and their gradient back, 67.
  EXPECT_LE(total_megabytes, 859) << testing::PrintToString(megabytes);
}

TEST_F(EmulatedStep, OnTensorCoresPoolingSumsGradientsOfBiases) {
  DryRun dry;
  SimpleCNN model(3, 10);
  set_tf32(true);
  auto [counts, megabytes, total_megabytes] = second_step_of(model, dry);
  set_tf32(false);
  EXPECT_EQ(total(counts), 17) << testing::PrintToString(counts);
  EXPECT_EQ(counts.count("max_pool2d"), 0U);
  EXPECT_EQ(counts["conv2d_max_pool2d"], 2);
  EXPECT_EQ(counts["conv2d"], 3);
  EXPECT_EQ(counts["max_pool2d_backward"], 2);
  EXPECT_EQ(counts["linear"], 7) << "the sums of fc1's bias are a pass of their own";
}

TEST_F(EmulatedStep, InBfloat16NoWeightIsCast) {
  DryRun dry;
  SimpleCNN model(3, 10);
  set_precision(model, bfloat16);
  auto [counts, megabytes, total_megabytes] = second_step_of(model, dry);
  EXPECT_EQ(total(counts), 28) << testing::PrintToString(counts);
  EXPECT_EQ(counts["place"], 3) << "images, twice, and filters of the first layer in whole packs";
  EXPECT_EQ(counts.count("weight_norm_forward"), 0U);
  EXPECT_EQ(counts["weight_norm_backward"], 1);
  EXPECT_EQ(counts.count("max_pool2d"), 0U);
  EXPECT_EQ(counts["conv2d_max_pool2d"], 2);
  EXPECT_EQ(counts["conv2d"], 3);
  // The images, the output and its gradient. The update leaves the linear layers' weights rounded.
  EXPECT_EQ(counts["cast"], 3);
}

TEST_F(EmulatedStep, PlainModelsLaunchTheSame) {
  DryRun dry;
  SimpleCNN model(3, 10);
  HandWritten by_hand(32);
  Sequential sequential = sequential_cnn(32);
  const auto expected = second_step_of(model, dry).counts;
  EXPECT_EQ(second_step_of(by_hand, dry).counts, expected);
  EXPECT_EQ(second_step_of(sequential, dry).counts, expected);
  Unfused unfused(32);
  EXPECT_GE(total(second_step_of(unfused, dry).counts), total(expected) + 7)
      << "three ReLUs, and flatten, forward and backward, are passes of their own";
}

TEST_F(EmulatedStep, AsksTheDriverForNoMemory) {
  DryRun dry;
  SimpleCNN model(3, 10);
  Training training(model);
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
  DryRun dry;
  SimpleCNN model(3, 10);
  Training training(model);
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
  // entries in the lists of the optimizer and of weight norm. What may wait for the next op (three
  // ReLUs, two poolings, two products; a pooling and two products anew, with others' work) has its
  // work and what that keeps.
  constexpr size_t waiting = 10;
  EXPECT_LE(allocations,
            storages + 5 * training.records() + 3 * training.num_parameters() + 2 * waiting);
}

}  // namespace
}  // namespace warptape
