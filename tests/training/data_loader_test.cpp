// Batches of tensors, on every device.

#include "training/data_loader.h"

#include <gtest/gtest.h>
#include <cmath>

#include <numeric>
#include <set>

#include "core/primitives.h"
#include "core/tape.h"
#include "tests/core/expect_throws.h"
#include "tests/kernels/devices.h"

namespace warptape {
namespace {

constexpr int64_t rows = 7;

// Row i: input {10 i, 10 i + 1}, target {i}.
TensorDataset counting() {
  std::vector<double> input;
  std::vector<int64_t> target(rows);
  std::iota(target.begin(), target.end(), int64_t{0});
  for (int64_t i = 0; i < rows; ++i) {
    input.push_back(static_cast<double>(10 * i));
    input.push_back(static_cast<double>(10 * i + 1));
  }
  return {tensor(input, {rows, 2}), tensor(target, {rows})};
}

// The rows of an epoch, batch by batch, whose inputs are their targets'.
std::vector<std::vector<int64_t>> epoch_of(DataLoader& loader, uint64_t epoch,
                                           int64_t left_out = 0) {
  std::vector<std::vector<int64_t>> batches;
  loader.start(epoch, left_out);
  while (const auto batch = loader.next_batch()) {
    const std::vector<double> input = batch->input.to(cpu).to_vector<double>();
    batches.push_back(batch->target.to(cpu).to_vector<int64_t>());
    EXPECT_EQ(batch->rows(), static_cast<int64_t>(batches.back().size()));
    EXPECT_EQ(batch->input.shape(), (Shape{batch->rows(), 2}));
    for (size_t i = 0; i < batches.back().size(); ++i) {
      EXPECT_EQ(input[2 * i], static_cast<double>(10 * batches.back()[i]));
      EXPECT_EQ(input[2 * i + 1], input[2 * i] + 1);
    }
  }
  return batches;
}

using Batches = std::vector<std::vector<int64_t>>;

TEST(DataLoader, GivesEveryRowOnceInBatches) {
  for (const Device device : available_devices()) {
    SCOPED_TRACE(to_string(device));
    DataLoader in_order(counting(), {.batch_size = 3, .device = device});
    EXPECT_EQ(epoch_of(in_order, 1), (Batches{{0, 1, 2}, {3, 4, 5}, {6}}));
    EXPECT_EQ(in_order.batches_per_epoch(), 3);
    EXPECT_EQ(in_order.size(), rows);
    DataLoader full(counting(), {.batch_size = 3, .drop_last = true, .device = device});
    EXPECT_EQ(epoch_of(full, 1), (Batches{{0, 1, 2}, {3, 4, 5}}));
    DataLoader one(counting(), {.batch_size = INT64_MAX, .device = device});
    EXPECT_EQ(epoch_of(one, 1), (Batches{{0, 1, 2, 3, 4, 5, 6}}));
    DataLoader none(counting(), {.batch_size = INT64_MAX, .drop_last = true, .device = device});
    EXPECT_EQ(none.batches_per_epoch(), 0);
    EXPECT_EQ(epoch_of(none, 1), Batches{});
    DataLoader some(counting(), {5, 2, 5}, {.batch_size = 2, .device = device});
    EXPECT_EQ(epoch_of(some, 1), (Batches{{5, 2}, {5}}));
    EXPECT_EQ(epoch_of(some, 1, 1), (Batches{{5}})) << "more epochs than slots";
    for (uint64_t epoch = 0; epoch < 4; ++epoch) {
      EXPECT_EQ(epoch_of(in_order, epoch).size(), 3U);
    }
  }
}

TEST(DataLoader, ShufflesAsSeedAndEpochSay) {
  for (const Device device : available_devices()) {
    DataLoaderOptions options{.batch_size = 2, .shuffle = true, .seed = 3, .device = device};
    DataLoader loader(counting(), options);
    const Batches first = epoch_of(loader, 1);
    EXPECT_NE(first, epoch_of(loader, 2));
    EXPECT_EQ(first, epoch_of(loader, 1));
    std::multiset<int64_t> all;
    for (const auto& batch : first) {
      all.insert(batch.begin(), batch.end());
    }
    EXPECT_EQ(all, (std::multiset<int64_t>{0, 1, 2, 3, 4, 5, 6}));
    for (int64_t k = 0; k <= loader.batches_per_epoch(); ++k) {
      EXPECT_EQ(epoch_of(loader, 1, k), Batches(first.begin() + k, first.end()));
    }
    options.seed = 4;
    DataLoader other(counting(), options);
    EXPECT_NE(first, epoch_of(other, 1));
  }
}

TEST(DataLoader, KeepsDtypeAndFormatAndIsDoneWithAtAnyTime) {
  for (const Device device : available_devices()) {
    const Tensor images = Tensor::from_vector<float>(
                              {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {2, 2, 2, 2})
                              .to(MemoryFormat::ChannelsLast);
    DataLoader loader({images, images}, {.batch_size = 1, .prefetch = 1, .device = device});
    loader.start(0);
    loader.next_batch();
    loader.start(1);
    loader.next_batch();
    const auto second = loader.next_batch();
    ASSERT_TRUE(second.has_value());
    EXPECT_EQ(second->input.memory_format(), MemoryFormat::ChannelsLast);
    EXPECT_EQ(second->input.device(), device);
    EXPECT_EQ(second->input.to(cpu).to_vector<float>(),
              (std::vector<float>{8, 9, 10, 11, 12, 13, 14, 15}));
    loader.start(2);  // and goes while its thread works
  }
}

TEST(DataLoader, RefusesNonsense) {
  const TensorDataset data = counting();
  const auto refuses = [&](const DataLoaderOptions& options, const char* message) {
    expect_throws<ValueError>([&] { DataLoader(data, options); }, {message});
  };
  refuses({.batch_size = 0}, "[DataLoader] batch_size: got 0");
  refuses({.prefetch = 0}, "[DataLoader] prefetch: got 0");
  expect_throws<ValueError>([&] { DataLoader(data, {0, 7}, {}); }, {"row: got 7, wanted 0 to 6"});
  DataLoader loader(data, {.batch_size = 4});
  expect_throws<ValueError>([&] { loader.start(0, 3); }, {"[DataLoader] start: got 3 batches"});
  const Tensor input = Tensor::ones({3, 2});
  expect_throws<ShapeError>([&] { TensorDataset(input, Tensor::ones({2})); },
                            {"[TensorDataset] got 3 rows of inputs and 2 of targets"});
  expect_throws<ShapeError>([&] { TensorDataset(Tensor::ones({}), input); }, {"input: got shape"});
  expect_throws<ShapeError>([&] { TensorDataset(input, Tensor::ones({0})); }, {"target: got"});
  expect_throws<ValueError>([&] { TensorDataset(input, input).slice(2, 2); }, {"rows 2 to 2"});
  for (const Device device : available_devices()) {
    if (device != cpu) {
      expect_throws<DeviceError>([&] { TensorDataset(input.to(device), input); },
                                 {"input: got it on cuda:0, wanted it on the CPU"});
    }
  }
}

TEST(DataLoader, SlicesAndSplitsOfData) {
  const TensorDataset tail = counting().slice(5, 7);
  EXPECT_EQ(tail.target().to_vector<int64_t>(), (std::vector<int64_t>{5, 6}));
  const Split split = random_split(10, 0.3, 1);
  EXPECT_EQ(split.held_out.size(), 3U);
  EXPECT_TRUE(std::is_sorted(split.train.begin(), split.train.end()));
  std::set<int64_t> all(split.train.begin(), split.train.end());
  all.insert(split.held_out.begin(), split.held_out.end());
  EXPECT_EQ(all.size(), 10U);
  EXPECT_EQ(*all.rbegin(), 9);
  EXPECT_NE(split.held_out, random_split(10, 0.3, 2).held_out);
  EXPECT_EQ(random_split(3, 0, 1).train, (std::vector<int64_t>{0, 1, 2}));
  expect_throws<ValueError>([] { random_split(3, 0.1, 1); }, {"0 of 3 rows"});
  expect_throws<ValueError>([] { random_split(3, 0.99, 1); }, {"3 of 3 rows"});
  expect_throws<ValueError>([] { random_split(3, -0.5, 1); }, {"of 3 rows"});
  expect_throws<ValueError>([] { random_split(3, NAN, 1); }, {"of 3 rows"});
}

}  // namespace
}  // namespace warptape
