// The loader: order, batches, resizing and normalising.

#include "training/image_loader.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "core/primitives.h"
#include "tests/golden.h"
#include "training/permutation.h"

namespace warptape {
namespace {

// `count` images of 1x4x4 whose pixels and label are the image's number.
ImageSet numbered_images(int64_t count) {
  ImageSet set{Tensor::empty({count, 1, 4, 4}, uint8), Tensor::empty({count}, int64)};
  for (int64_t i = 0; i < count; ++i) {
    std::fill_n(set.images.mutable_data<uint8_t>() + i * 16, 16, static_cast<uint8_t>(i));
    set.labels.mutable_data<int64_t>()[i] = i;
  }
  return set;
}

std::vector<int64_t> all_indices(int64_t count) {
  std::vector<int64_t> indices(static_cast<size_t>(count));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  return indices;
}

const ImageTransform plain{.image_size = 4, .dtype = float64};

// The labels of an epoch, and the sizes of its batches.
std::vector<int64_t> labels_of_epoch(ImageLoader& loader, uint64_t epoch,
                                     std::vector<int64_t>& sizes) {
  std::vector<int64_t> labels;
  sizes.clear();
  loader.start(epoch);
  while (const auto batch = loader.next()) {
    const std::vector<int64_t> part = batch->labels.to_vector<int64_t>();
    const std::vector<double> pixels = batch->images.to_vector<double>();
    for (size_t i = 0; i < part.size(); ++i) {
      EXPECT_NEAR(pixels[i * 16] * 255, static_cast<double>(part[i]), 1e-9) << "image and label";
    }
    labels.insert(labels.end(), part.begin(), part.end());
    sizes.push_back(static_cast<int64_t>(part.size()));
  }
  return labels;
}

TEST(Permutation, IsAPureFunctionOfItsArguments) {
  const auto first = random_permutation(1000, 7, Purpose::Shuffle, 3);
  EXPECT_EQ(random_permutation(1000, 7, Purpose::Shuffle, 3), first);
  EXPECT_NE(random_permutation(1000, 8, Purpose::Shuffle, 3), first);
  EXPECT_NE(random_permutation(1000, 7, Purpose::Shuffle, 4), first);
  EXPECT_NE(random_permutation(1000, 7, Purpose::Split, 3), first);
}

TEST(Permutation, HoldsEveryNumberOnceAndMovesMost) {
  for (int64_t count : {0, 1, 2, 3, 1000}) {
    const auto order = random_permutation(count, 1, Purpose::Shuffle, 0);
    EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), static_cast<size_t>(count));
  }
  const auto order = random_permutation(1000, 1, Purpose::Shuffle, 0);
  int fixed = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    fixed += order[i] == static_cast<int64_t>(i) ? 1 : 0;
  }
  EXPECT_LT(fixed, 10);  // one is expected
}

TEST(Permutation, AllOrdersAreAboutEquallyFrequent) {
  std::map<std::vector<int64_t>, int> times;
  constexpr int epochs = 2400;
  for (uint64_t epoch = 0; epoch < epochs; ++epoch) {
    ++times[random_permutation(4, 11, Purpose::Shuffle, epoch)];
  }
  EXPECT_EQ(times.size(), 24U) << "also those that leave an element where it is";
  for (const auto& [order, count] : times) {  // 100 are expected, with a deviation of 10
    EXPECT_GT(count, 50);
    EXPECT_LT(count, 150);
  }
}

TEST(ImageLoader, KeepsTheOrderWithoutShuffling) {
  const ImageSet set = numbered_images(10);
  ImageLoader loader(set, all_indices(10), plain, {.batch_size = 4});
  std::vector<int64_t> sizes;
  EXPECT_EQ(labels_of_epoch(loader, 0, sizes), all_indices(10));
  EXPECT_EQ(sizes, (std::vector<int64_t>{4, 4, 2}));
  EXPECT_EQ(loader.batches_per_epoch(), 3);
}

TEST(ImageLoader, DropsTheLastBatchWhenAsked) {
  const ImageSet set = numbered_images(10);
  ImageLoader loader(set, all_indices(10), plain, {.batch_size = 4, .drop_last = true});
  std::vector<int64_t> sizes;
  EXPECT_EQ(labels_of_epoch(loader, 0, sizes).size(), 8u);
  EXPECT_EQ(sizes, (std::vector<int64_t>{4, 4}));
  EXPECT_EQ(loader.batches_per_epoch(), 2);
}

TEST(ImageLoader, TakesBatchSizesFarBeyondTheImages) {
  for (const int64_t batch_size : {int64_t{8}, INT64_MAX / 2, INT64_MAX}) {
    std::vector<int64_t> sizes;
    ImageLoader whole(numbered_images(7), all_indices(7), plain, {.batch_size = batch_size});
    EXPECT_EQ(whole.batches_per_epoch(), 1);
    EXPECT_EQ(labels_of_epoch(whole, 0, sizes), all_indices(7));
    ImageLoader none(numbered_images(7), all_indices(7), plain,
                     {.batch_size = batch_size, .drop_last = true});
    EXPECT_EQ(none.batches_per_epoch(), 0);
    EXPECT_TRUE(labels_of_epoch(none, 0, sizes).empty());
  }
}

TEST(ImageLoader, ShufflesBySeedAndEpochWhateverThePrefetch) {
  const ImageSet set = numbered_images(50);
  const std::vector<int64_t> part = {3, 5, 8, 13, 21, 34, 40, 41, 42};
  std::vector<int64_t> sizes;
  std::vector<std::vector<int64_t>> orders;
  for (int64_t prefetch : {1, 2, 7}) {
    ImageLoader loader(set, part, plain,
                       {.batch_size = 2, .shuffle = true, .seed = 5, .prefetch = prefetch});
    orders.push_back(labels_of_epoch(loader, 1, sizes));
    EXPECT_NE(labels_of_epoch(loader, 2, sizes), orders.back());
    EXPECT_EQ(labels_of_epoch(loader, 1, sizes), orders.back()) << "the epoch again";
  }
  EXPECT_EQ(orders[0], orders[1]);
  EXPECT_EQ(orders[0], orders[2]);
  EXPECT_NE(orders[0], part);
  std::sort(orders[0].begin(), orders[0].end());
  EXPECT_EQ(orders[0], part) << "each image once";
}

TEST(ImageLoader, MayBeLeftInTheMiddleOfAnEpoch) {
  const ImageSet set = numbered_images(40);
  ImageLoader loader(set, all_indices(40), plain, {.batch_size = 1});
  loader.start(0);
  ASSERT_TRUE(loader.next());
  std::vector<int64_t> sizes;
  EXPECT_EQ(labels_of_epoch(loader, 1, sizes), all_indices(40));
  loader.start(2);  // and destroyed while its thread waits
}

TEST(ImageLoader, RefusesNonsense) {
  const ImageSet set = numbered_images(2);
  EXPECT_THROW(ImageLoader(set, all_indices(2), plain, {.batch_size = 0}), ValueError);
  EXPECT_THROW(ImageLoader(set, all_indices(2), plain, {.prefetch = 0}), ValueError);
  EXPECT_THROW(ImageLoader(set, all_indices(2), {.mean = {0, 0}, .std = {1, 1}}, {}), ValueError);
}

TEST(ImageTransform, ResizesAndNormalisesAsPyTorch) {
  const nlohmann::json cases = load_golden("training.json")["bilinear"];
  ASSERT_GE(cases.size(), 5u);
  for (const auto& golden : cases) {
    const int64_t height = golden["height"];
    const int64_t width = golden["width"];
    // Two channels: the second is the first reversed.
    ImageSet set{Tensor::empty({1, 2, height, width}, uint8), Tensor::zeros({1}, int64)};
    uint8_t* pixels = set.images.mutable_data<uint8_t>();
    for (int64_t i = 0; i < height * width; ++i) {
      pixels[i] = static_cast<uint8_t>((37 * i + 11) % 256);
      pixels[2 * height * width - 1 - i] = pixels[i];
    }
    const ImageTransform transform{
        .image_size = golden["size"], .mean = {0.3, 0.3}, .std = {0.6, 0.6}, .dtype = float64};
    const ImageBatch batch =
        image_batch(set.images, set.labels, tensor<int64_t>({0}, {1}), transform);
    const std::vector<double> values = batch.images.to_vector<double>();
    std::vector<double> wanted = golden["values"];
    const std::vector<double> first(values.begin(),
                                    values.begin() + static_cast<long>(wanted.size()));
    expect_near(first, wanted, 1e-14, golden.dump().substr(0, 40));
    std::reverse(wanted.begin(), wanted.end());
    const std::vector<double> second(values.begin() + static_cast<long>(wanted.size()),
                                     values.end());
    expect_near(second, wanted, 1e-14, "the reversed channel");
  }
}

TEST(ImageTransform, StatisticsArePerChannelAndOfTheGivenImages) {
  ImageSet set{Tensor::empty({3, 2, 1, 2}, uint8), Tensor::zeros({3}, int64)};
  const std::vector<uint8_t> pixels = {0, 255, 51, 51, 255, 255, 51, 51, 9, 9, 9, 9};
  std::copy(pixels.begin(), pixels.end(), set.images.mutable_data<uint8_t>());
  const ChannelStatistics statistics = channel_statistics(set, {0, 1});
  expect_near(statistics.mean, {0.75, 0.2}, 1e-15, "mean");
  expect_near(statistics.std, {std::sqrt(3.0) / 4, 1}, 1e-15, "std, 1 for a constant channel");
}

}  // namespace
}  // namespace warptape
