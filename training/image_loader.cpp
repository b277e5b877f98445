#include "training/image_loader.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "training/permutation.h"

namespace warptape {

ImageLoader::ImageLoader(const ImageSet& images, std::vector<int64_t> indices,
                         ImageTransform transform, ImageLoaderOptions options)
    : images_(images),
      indices_(std::move(indices)),
      transform_(std::move(transform)),
      options_(options) {
  check<ValueError>(options_.batch_size >= 1, "[ImageLoader] batch_size: got {}, wanted 1 or more",
                    options_.batch_size);
  check<ValueError>(options_.prefetch >= 1, "[ImageLoader] prefetch: got {}, wanted 1 or more",
                    options_.prefetch);
  const auto channels = static_cast<size_t>(images.images.size(1));
  check<ValueError>(transform_.mean.size() == channels && transform_.std.size() == channels,
                    "[ImageLoader] mean and std: got {} and {} values, wanted {} (one per channel)",
                    transform_.mean.size(), transform_.std.size(), channels);
}

ImageLoader::~ImageLoader() {
  stop();
}

int64_t ImageLoader::batches_per_epoch() const {
  const int64_t partial = options_.drop_last ? 0 : options_.batch_size - 1;
  return (size() + partial) / options_.batch_size;
}

void ImageLoader::start(uint64_t epoch) {
  stop();
  std::vector<int64_t> order = indices_;
  if (options_.shuffle) {
    const auto permutation = random_permutation(size(), options_.seed, Purpose::Shuffle, epoch);
    std::transform(permutation.begin(), permutation.end(), order.begin(),
                   [&](int64_t i) { return indices_[static_cast<size_t>(i)]; });
  }
  finished_ = false;
  stopping_ = false;
  failure_ = nullptr;
  thread_ = std::thread(&ImageLoader::produce, this, std::move(order));
}

void ImageLoader::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
  ready_.clear();
  finished_ = true;
}

void ImageLoader::produce(std::vector<int64_t> order) {
  std::exception_ptr failure;
  try {
    for (int64_t batch = 0; batch < batches_per_epoch(); ++batch) {
      const int64_t begin = batch * options_.batch_size;
      const int64_t count = std::min(options_.batch_size, size() - begin);
      ImageBatch made = make_batch(images_, order.data() + begin, count, transform_);
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] {
        return stopping_ || static_cast<int64_t>(ready_.size()) < options_.prefetch;
      });
      if (stopping_) {
        return;
      }
      ready_.push_back(std::move(made));
      lock.unlock();
      changed_.notify_all();
    }
  } catch (...) {
    failure = std::current_exception();
  }
  {
    std::lock_guard lock(mutex_);
    finished_ = true;
    failure_ = failure;
  }
  changed_.notify_all();
}

std::optional<ImageBatch> ImageLoader::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return finished_ || !ready_.empty(); });
  if (!ready_.empty()) {
    ImageBatch batch = std::move(ready_.front());
    ready_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return batch;
  }
  if (failure_) {
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
  return std::nullopt;
}

}  // namespace warptape
