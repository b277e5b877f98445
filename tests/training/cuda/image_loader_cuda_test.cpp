// Batches on "cuda", of images that lie there and of images that are brought batch by batch: those
// of the CPU, bit by bit.

#include <gtest/gtest.h>

#include <numeric>

#include "core/primitives.h"
#include "tests/core/device/gpu_test.h"
#include "tests/core/expect_throws.h"
#include "training/image_loader.h"

namespace warptape {
namespace {

class GpuImageLoader : public GpuTest {};

ImageSet hashed_images(int64_t count) {
  ImageSet set{Tensor::empty({count, 2, 5, 6}, uint8), Tensor::empty({count}, int64)};
  uint8_t* pixels = set.images.mutable_data<uint8_t>();
  for (int64_t i = 0; i < set.images.numel(); ++i) {
    pixels[i] = static_cast<uint8_t>(static_cast<uint64_t>(i) * 2654435761u >> 9);
  }
  int64_t* labels = set.labels.mutable_data<int64_t>();
  std::iota(labels, labels + count, int64_t{1000});
  return set;
}

const ImageTransform transform{.image_size = 8, .mean = {0.3, 0.6}, .std = {0.2, 0.3}};

std::vector<int64_t> numbers_from(int64_t begin, int64_t end) {
  std::vector<int64_t> numbers(static_cast<size_t>(end - begin));
  std::iota(numbers.begin(), numbers.end(), begin);
  return numbers;
}

struct Epoch {
  std::vector<std::vector<float>> images;  // per batch
  std::vector<std::vector<int64_t>> labels;
  bool operator==(const Epoch& other) const = default;
};

// All batches are queued before the first is read: what reused a buffer too early would show.
Epoch epoch_of(ImageLoader& loader, uint64_t epoch) {
  std::vector<ImageBatch> batches;
  loader.start(epoch);
  while (auto batch = loader.next()) {
    batches.push_back(std::move(*batch));
  }
  EXPECT_FALSE(loader.next()) << "a batch after the end";
  Epoch result;
  for (const ImageBatch& batch : batches) {
    result.images.push_back(batch.images.to_vector<float>());
    result.labels.push_back(batch.labels.to_vector<int64_t>());
  }
  return result;
}

TEST_F(GpuImageLoader, HasTheBatchesOfTheCpu) {
  const ImageSet host = hashed_images(43);
  const ImageSet device = to(host, cuda);
  for (int64_t prefetch : {1, 3}) {
    ImageLoaderOptions options{.batch_size = 4, .shuffle = true, .seed = 5, .prefetch = prefetch};
    ImageLoader wanted(host, numbers_from(2, 43), transform, options);
    options.device = cuda;
    ImageLoader resident(device, numbers_from(2, 43), transform, options);
    ImageLoader staged(host, numbers_from(2, 43), transform, options);
    for (uint64_t epoch : {1, 2}) {
      const Epoch expected = epoch_of(wanted, epoch);
      ASSERT_EQ(expected.labels.size(), 11u);
      EXPECT_EQ(expected.labels.back().size(), 1u);
      EXPECT_EQ(epoch_of(resident, epoch), expected);
      EXPECT_EQ(epoch_of(staged, epoch), expected);
    }
  }
}

TEST_F(GpuImageLoader, DropsTheLastBatchWhenAsked) {
  const ImageSet host = hashed_images(10);
  const ImageLoaderOptions options{.batch_size = 4, .drop_last = true, .device = cuda};
  for (const ImageSet& set : {host, to(host, cuda)}) {
    ImageLoader loader(set, numbers_from(0, 10), transform, options);
    EXPECT_EQ(epoch_of(loader, 0).labels, (std::vector<std::vector<int64_t>>{
                                              {1000, 1001, 1002, 1003}, {1004, 1005, 1006, 1007}}));
  }
}

TEST_F(GpuImageLoader, MayBeLeftInTheMiddleOfAnEpoch) {
  const ImageSet host = hashed_images(30);
  for (const ImageSet& set : {host, to(host, cuda)}) {
    ImageLoader loader(set, numbers_from(0, 30), transform, {.batch_size = 2, .device = cuda});
    ImageLoader whole(host, numbers_from(0, 30), transform, {.batch_size = 2});
    loader.start(0);
    const auto first = loader.next();
    ASSERT_TRUE(loader.next());
    EXPECT_EQ(epoch_of(loader, 1), epoch_of(whole, 1));
    EXPECT_EQ(first->labels.to_vector<int64_t>(), (std::vector<int64_t>{1000, 1001}));
    loader.start(2);
    ASSERT_TRUE(loader.next());  // and destroyed while batches are under way
  }
}

TEST_F(GpuImageLoader, BatchesOutliveTheLoader) {
  const ImageSet host = hashed_images(6);
  for (const ImageSet& set : {host, to(host, cuda)}) {
    std::optional<ImageBatch> batch;
    {
      ImageLoader loader(set, numbers_from(0, 6), transform, {.batch_size = 3, .device = cuda});
      loader.start(0);
      batch = loader.next();
    }
    EXPECT_EQ(batch->labels.to_vector<int64_t>(), (std::vector<int64_t>{1000, 1001, 1002}));
  }
}

TEST_F(GpuImageLoader, RefusesImagesOfAnotherDevice) {
  const ImageSet device = to(hashed_images(2), cuda);
  expect_throws<DeviceError>(
      [&] {
        ImageLoader(device, {0, 1}, transform, {});
      },
      {"[ImageLoader] device", "images on cuda:0", "batches on cpu"});
}

}  // namespace
}  // namespace warptape
