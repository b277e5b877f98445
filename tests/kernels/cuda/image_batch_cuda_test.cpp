// Batches made on "cuda" have the bits of those made on the CPU.

#include "kernels/image_batch/image_batch.h"

#include <gtest/gtest.h>

#include "core/check.h"
#include "core/device/gpu.h"
#include "tests/core/device/gpu_test.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

class ImageBatchCuda : public GpuTest {};

Tensor hashed_pixels(const Shape& shape) {
  std::vector<uint8_t> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
  }
  return tensor(values, shape);
}

template <class T>
void expect_same_bits(const Shape& shape, int64_t size) {
  SCOPED_TRACE(fmt::format("{} to {} in {}", shape, size, to_string(dtype_of<T>())));
  const Tensor pixels = hashed_pixels(shape);
  std::vector<int64_t> numbers(static_cast<size_t>(shape[0]));
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = static_cast<int64_t>(100 + i);
  }
  const Tensor labels = tensor(numbers, {shape[0]});
  const Tensor indices = tensor<int64_t>({shape[0] - 1, 0, shape[0] / 2}, {3});
  const ImageTransform transform{.image_size = size,
                                 .mean = std::vector<double>(static_cast<size_t>(shape[1]), 0.4123),
                                 .std = std::vector<double>(static_cast<size_t>(shape[1]), 0.2871),
                                 .dtype = dtype_of<T>()};
  const ImageBatch host = image_batch(pixels, labels, indices, transform);
  const ImageBatch device =
      image_batch(pixels.to(cuda), labels.to(cuda), indices.to(cuda), transform);
  EXPECT_EQ(device.images.memory_format(), MemoryFormat::ChannelsLast);
  EXPECT_EQ(device.images.to_vector<T>(), host.images.to_vector<T>());
  EXPECT_EQ(device.labels.to_vector<int64_t>(), host.labels.to_vector<int64_t>());
}

TEST_F(ImageBatchCuda, HasTheBitsOfTheCpu) {
  // Of the last two, one side alone is the wanted one.
  for (const Shape& shape :
       {Shape{4, 3, 16, 16}, {2, 1, 28, 28}, {3, 2, 9, 31}, {2, 1, 16, 9}, {2, 3, 9, 16}}) {
    for (int64_t size : {16, 28, 37}) {
      expect_same_bits<float>(shape, size);
      expect_same_bits<double>(shape, size);
    }
  }
}

// Rows wider than a block, bands that begin within an image, and pixels of all 256 values.
TEST_F(ImageBatchCuda, HasTheBitsOfTheCpuForWideImages) {
  expect_same_bits<float>({2, 3, 20, 24}, 350);
  expect_same_bits<float>({2, 16, 20, 24}, 65);
  expect_same_bits<float>({1, 1, 64, 64}, 64);
}

TEST_F(ImageBatchCuda, ReportsAnIndexThatNoImageHas) {
  const Tensor pixels = hashed_pixels({2, 1, 4, 4}).to(cuda);
  const Tensor labels = tensor<int64_t>({0, 1}, {2}, cuda);
  const Tensor indices = tensor<int64_t>({1, 0, -7, 1}, {4}, cuda);
  const ImageBatch batch = image_batch(pixels, labels, indices, {.image_size = 4});
  expect_throws<ValueError>([] { gpu::synchronize(); }, {"[image_batch] index 2: got -7"});
  EXPECT_EQ(batch.labels.to_vector<int64_t>(), (std::vector<int64_t>{1, 0, 0, 1}));
}

}  // namespace
}  // namespace warptape
