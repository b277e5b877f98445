// Batches of images that stay on the host: pinned memory, a stream for copies, events.

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "core/device/pinned_buffer.h"
#include "core/error.h"
#include "training/batch_source.h"
#include "training/prefetch.h"

namespace warptape {
namespace {

// A batch of pixels and labels on their way: host to pinned memory to device.
struct Slot {
  Slot(const Shape& images, Device device)
      : pixels(Tensor::empty(images, uint8, device)),
        labels(Tensor::empty({images[0]}, int64, device)),
        staged_pixels(static_cast<size_t>(pixels.bytes())),
        staged_labels(static_cast<size_t>(labels.bytes())) {}

  Tensor pixels;
  Tensor labels;
  gpu::PinnedBuffer staged_pixels;
  gpu::PinnedBuffer staged_labels;
  gpu::Event copied;  // pinned memory may be written again
  gpu::Event read;    // the device's side may be written again
};

struct StagedBatch {
  Slot* slot;
  int64_t count;
};

class StagedBatches final : public BatchSource {
 public:
  StagedBatches(ImageSet images, BatchSourceOptions options, Device device)
      : images_(std::move(images)),
        options_(std::move(options)),
        image_bytes_(static_cast<size_t>(images_.images.bytes() / images_.images.size(0))),
        prefetcher_(options_.prefetch) {
    // A slot is filled again when its batch has been taken and another one after it: `prefetch`
    // batches wait, one is made, one is being taken.
    Shape shape = images_.images.shape();
    shape[0] = std::min(options_.batch_size, shape[0]);
    std::vector<int64_t> numbers(static_cast<size_t>(shape[0]));
    std::iota(numbers.begin(), numbers.end(), int64_t{0});
    numbers_ = tensor(numbers, {shape[0]}, device);
    const gpu::StreamScope scope(copies_);
    for (int64_t i = 0; i < options_.prefetch + 2; ++i) {
      slots_.push_back(std::make_unique<Slot>(shape, device));
    }
  }

  ~StagedBatches() override {
    prefetcher_.stop();
    try {
      for (const auto& slot : slots_) {
        slot->copied.synchronize();
        slot->read.make_wait(copies_.handle());  // on which their memory is freed
      }
    } catch (const Error&) {
      // A fault of the device sticks: whoever synchronises next is told.
    }
  }

  void start(std::vector<int64_t> order) override {
    const auto count = static_cast<int64_t>(order.size());
    const int64_t batches = (count + options_.batch_size - 1) / options_.batch_size;
    prefetcher_.start(batches, [this, order = std::move(order)](int64_t i) {
      const auto begin = static_cast<size_t>(i * options_.batch_size);
      const size_t end = std::min(begin + static_cast<size_t>(options_.batch_size), order.size());
      Slot& slot = *slots_[static_cast<size_t>(i) % slots_.size()];
      stage(slot, order.data() + begin, end - begin);
      return StagedBatch{&slot, static_cast<int64_t>(end - begin)};
    });
  }

  std::optional<ImageBatch> next() override {
    const std::optional<StagedBatch> staged = prefetcher_.next();
    if (!staged) {
      return std::nullopt;
    }
    Slot& slot = *staged->slot;
    slot.copied.make_wait(gpu::current_stream());
    ImageBatch batch =
        image_batch(slot.pixels.slice(0, staged->count), slot.labels.slice(0, staged->count),
                    numbers_.slice(0, staged->count), options_.transform);
    slot.read.record(gpu::current_stream());
    return batch;
  }

 private:
  void stage(Slot& slot, const int64_t* numbers, size_t count) {
    slot.copied.synchronize();
    char* pixels = slot.staged_pixels.data();
    char* labels = slot.staged_labels.data();
    const auto* all_pixels = images_.images.data<uint8_t>();
    const auto* all_labels = images_.labels.data<int64_t>();
    for (size_t i = 0; i < count; ++i) {
      const auto number = static_cast<size_t>(numbers[i]);
      std::memcpy(pixels + i * image_bytes_, all_pixels + number * image_bytes_, image_bytes_);
      std::memcpy(labels + i * sizeof(int64_t), all_labels + number, sizeof(int64_t));
    }
    slot.read.make_wait(copies_.handle());
    gpu::copy_from_pinned(slot.pixels.mutable_raw_data(), pixels, count * image_bytes_,
                          copies_.handle());
    gpu::copy_from_pinned(slot.labels.mutable_raw_data(), labels, count * sizeof(int64_t),
                          copies_.handle());
    slot.copied.record(copies_.handle());
  }

  const ImageSet images_;
  const BatchSourceOptions options_;
  const size_t image_bytes_;
  Tensor numbers_;  // 0, 1, ...: a batch takes its slot's images in their order
  gpu::Stream copies_;
  std::vector<std::unique_ptr<Slot>> slots_;
  Prefetcher<StagedBatch> prefetcher_;  // last: its thread uses the others
};

}  // namespace

std::unique_ptr<BatchSource> make_staged_batches(ImageSet images, BatchSourceOptions options,
                                                 Device device) {
  return std::make_unique<StagedBatches>(std::move(images), std::move(options), device);
}

}  // namespace warptape
