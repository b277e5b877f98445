#include "training/image_loader.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/device/on_device.h"
#include "training/batch_source.h"

namespace warptape {
namespace {

void check_arguments(const ImageSet& images, const std::vector<int64_t>& indices,
                     const ImageTransform& transform, const ImageLoaderOptions& options) {
  check<ValueError>(options.batch_size >= 1, "[ImageLoader] batch_size: got {}, wanted 1 or more",
                    options.batch_size);
  check<ValueError>(options.prefetch >= 1, "[ImageLoader] prefetch: got {}, wanted 1 or more",
                    options.prefetch);
  const auto channels = static_cast<size_t>(images.images.size(1));
  check<ValueError>(transform.mean.size() == channels && transform.std.size() == channels,
                    "[ImageLoader] mean and std: got {} and {} values, wanted {} (one per channel)",
                    transform.mean.size(), transform.std.size(), channels);
  const int64_t count = images.images.size(0);
  for (int64_t index : indices) {
    check<ValueError>(index >= 0 && index < count, "[ImageLoader] index: got {}, wanted 0 to {}",
                      index, count - 1);
  }
  const Device device = images.images.device();
  check<DeviceError>(device == cpu || device == options.device,
                     "[ImageLoader] device: got images on {} for batches on {}, wanted images "
                     "there or on the CPU",
                     to_string(device), to_string(options.device));
}

std::unique_ptr<BatchSource> make_source(const ImageSet& images, const ImageTransform& transform,
                                         const ImageLoaderOptions& options) {
  BatchSourceOptions of_source{transform, options.batch_size, options.prefetch};
  if (options.device == cpu) {
    return make_prefetched_batches(images, std::move(of_source));
  }
  if (images.images.device() == options.device) {
    return make_resident_batches(images, std::move(of_source));
  }
  backend(options.device);  // throws where it is not there
  if constexpr (has_gpu) {
    return make_staged_batches(images, std::move(of_source), options.device);
  } else {
    return nullptr;
  }
}

}  // namespace

ImageLoader::ImageLoader(const ImageSet& images, std::vector<int64_t> indices,
                         const ImageTransform& transform, ImageLoaderOptions options)
    : indices_(std::move(indices)),
      order_{options.batch_size, options.drop_last, options.shuffle, options.seed} {
  check_arguments(images, indices_, transform, options);
  // A batch that is larger than all images is as large as it is said to be only to drop_last.
  options.batch_size = std::min(options.batch_size, size() + 1);
  order_.batch_size = options.batch_size;
  source_ = make_source(images, transform, options);
}

ImageLoader::~ImageLoader() = default;

int64_t ImageLoader::batches_per_epoch() const {
  return order_.batches_per_epoch(size());
}

void ImageLoader::start(uint64_t epoch, int64_t left_out) {
  source_->start(order_.rows_of(indices_, epoch, left_out, "ImageLoader"));
}

std::optional<ImageBatch> ImageLoader::next() {
  return source_->next();
}

std::optional<Batch> ImageLoader::next_batch() {
  const std::optional<ImageBatch> batch = next();
  return batch ? std::optional(Batch{batch->images, batch->labels}) : std::nullopt;
}

bool ImageLoader::makes_batches_of_numbers() const {
  return source_->makes_batches_of_numbers();
}

std::optional<Tensor> ImageLoader::next_numbers() {
  return source_->next_numbers();
}

Batch ImageLoader::batch_of(const Tensor& numbers) {
  const ImageBatch batch = source_->batch_of(numbers);
  return {batch.images, batch.labels};
}

}  // namespace warptape
