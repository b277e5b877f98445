#include "training/batch_source.h"

#include <algorithm>
#include <utility>

#include "training/prefetch.h"

namespace warptape {
namespace {

// The part of the order that batch i has.
Tensor part_of(const Tensor& order, int64_t i, int64_t batch_size) {
  return order.slice(i * batch_size, std::min((i + 1) * batch_size, order.numel()));
}

int64_t count_batches(const Tensor& order, int64_t batch_size) {
  return (order.numel() + batch_size - 1) / batch_size;
}

Tensor order_on(Device device, const std::vector<int64_t>& order) {
  return tensor(order, {static_cast<int64_t>(order.size())}, device);
}

class PrefetchedBatches final : public BatchSource {
 public:
  PrefetchedBatches(ImageSet images, BatchSourceOptions options)
      : images_(std::move(images)), options_(std::move(options)), prefetcher_(options_.prefetch) {}

  void start(std::vector<int64_t> order) override {
    const Tensor numbers = order_on(cpu, order);
    prefetcher_.start(count_batches(numbers, options_.batch_size), [this, numbers](int64_t i) {
      return image_batch(images_.images, images_.labels, part_of(numbers, i, options_.batch_size),
                         options_.transform);
    });
  }

  std::optional<ImageBatch> next() override { return prefetcher_.next(); }

 private:
  const ImageSet images_;
  const BatchSourceOptions options_;
  Prefetcher<ImageBatch> prefetcher_;  // last: its thread uses the others
};

class ResidentBatches final : public BatchSource {
 public:
  ResidentBatches(ImageSet images, BatchSourceOptions options)
      : images_(std::move(images)), options_(std::move(options)) {}

  void start(std::vector<int64_t> order) override {
    order_ = order_on(images_.images.device(), order);
    next_ = 0;
  }

  std::optional<ImageBatch> next() override {
    const std::optional<Tensor> numbers = next_numbers();
    return numbers ? std::optional(batch_of(*numbers)) : std::nullopt;
  }
  bool makes_batches_of_numbers() const override { return true; }
  std::optional<Tensor> next_numbers() override {
    if (!order_.defined() || next_ == count_batches(order_, options_.batch_size)) {
      return std::nullopt;
    }
    return part_of(order_, next_++, options_.batch_size);
  }
  ImageBatch batch_of(const Tensor& numbers) override {
    return image_batch(images_.images, images_.labels, numbers, options_.transform);
  }

 private:
  const ImageSet images_;
  const BatchSourceOptions options_;
  Tensor order_;
  int64_t next_ = 0;
};

}  // namespace

std::unique_ptr<BatchSource> make_prefetched_batches(ImageSet images, BatchSourceOptions options) {
  return std::make_unique<PrefetchedBatches>(std::move(images), std::move(options));
}

std::unique_ptr<BatchSource> make_resident_batches(ImageSet images, BatchSourceOptions options) {
  return std::make_unique<ResidentBatches>(std::move(images), std::move(options));
}

}  // namespace warptape
