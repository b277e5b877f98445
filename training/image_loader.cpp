#include "training/image_loader.h"

#include <algorithm>
#include <utility>

#include "core/device/on_device.h"
#include "training/batch_source.h"
#include "training/permutation.h"

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
    : indices_(std::move(indices)), options_(options) {
  check_arguments(images, indices_, transform, options_);
  // A batch that is larger than all images is as large as it is said to be only to drop_last.
  options_.batch_size = std::min(options_.batch_size, size() + 1);
  source_ = make_source(images, transform, options_);
}

ImageLoader::~ImageLoader() = default;

int64_t ImageLoader::batches_per_epoch() const {
  const int64_t partial = options_.drop_last ? 0 : options_.batch_size - 1;
  return (size() + partial) / options_.batch_size;
}

void ImageLoader::start(uint64_t epoch, int64_t left_out) {
  check<ValueError>(left_out >= 0 && left_out <= batches_per_epoch(),
                    "[ImageLoader] start: got {} batches to leave out, wanted 0 to {}", left_out,
                    batches_per_epoch());
  std::vector<int64_t> order = indices_;
  if (options_.shuffle) {
    const auto permutation = random_permutation(size(), options_.seed, Purpose::Shuffle, epoch);
    std::transform(permutation.begin(), permutation.end(), order.begin(),
                   [&](int64_t i) { return indices_[static_cast<size_t>(i)]; });
  }
  order.resize(static_cast<size_t>(std::min(size(), batches_per_epoch() * options_.batch_size)));
  const int64_t skipped =
      std::min(static_cast<int64_t>(order.size()), left_out * options_.batch_size);
  order.erase(order.begin(), order.begin() + skipped);
  source_->start(std::move(order));
}

std::optional<ImageBatch> ImageLoader::next() {
  return source_->next();
}

}  // namespace warptape
