// Rows that stay on the host and go to "cuda" batch by batch, through pinned memory.

#include <utility>

#include "core/device/pinned_buffer.h"
#include "core/error.h"
#include "training/prefetch.h"
#include "training/row_source.h"

namespace warptape {
namespace {

struct Slot {
  Slot(size_t input_bytes, size_t target_bytes) : input(input_bytes), target(target_bytes) {}

  gpu::PinnedBuffer input;
  gpu::PinnedBuffer target;
  gpu::Event copied;  // they may be written again
};

struct PinnedBatch {
  Slot* slot;
  int64_t rows;
};

class PinnedRows final : public RowSource {
 public:
  PinnedRows(TensorDataset data, RowSourceOptions options, Device device)
      : data_(std::move(data)), options_(options), device_(device), prefetcher_(options.prefetch) {
    // `prefetch` batches wait, one is made, one is being taken.
    const int64_t rows = std::min(options.batch_size, data_.size());
    const auto bytes_of = [&](const Tensor& tensor) {
      return static_cast<size_t>(tensor.bytes() / tensor.size(0) * rows);
    };
    for (int64_t i = 0; i < options.prefetch + 2; ++i) {
      slots_.push_back(std::make_unique<Slot>(bytes_of(data_.input()), bytes_of(data_.target())));
    }
  }

  ~PinnedRows() override {
    prefetcher_.stop();
    try {
      for (const auto& slot : slots_) {
        slot->copied.synchronize();
      }
    } catch (const Error&) {
      // A fault of the device sticks: whoever synchronises next is told.
    }
  }

  void start(std::vector<int64_t> order) override {
    const auto count = static_cast<int64_t>(order.size());
    const int64_t batches = (count + options_.batch_size - 1) / options_.batch_size;
    prefetcher_.start(batches, [this, order = std::move(order)](int64_t i) {
      const std::vector<int64_t> rows = rows_of_batch(order, i, options_.batch_size);
      Slot& slot = *slots_[static_cast<size_t>(i) % slots_.size()];
      slot.copied.synchronize();
      copy_rows(data_.input(), rows, slot.input.data());
      copy_rows(data_.target(), rows, slot.target.data());
      return PinnedBatch{&slot, static_cast<int64_t>(rows.size())};
    });
  }

  std::optional<Batch> next() override {
    const std::optional<PinnedBatch> pinned = prefetcher_.next();
    if (!pinned) {
      return std::nullopt;
    }
    const auto bring = [&](const Tensor& like, const gpu::PinnedBuffer& from) {
      Tensor to = Tensor::empty(shape_of_rows(like, pinned->rows), like.dtype(), device_,
                                like.memory_format());
      gpu::copy_from_pinned(to.mutable_raw_data(), from.data(), static_cast<size_t>(to.bytes()),
                            gpu::current_stream());
      return to;
    };
    Slot& slot = *pinned->slot;
    Batch batch{bring(data_.input(), slot.input), bring(data_.target(), slot.target)};
    slot.copied.record(gpu::current_stream());
    return batch;
  }

 private:
  const TensorDataset data_;
  const RowSourceOptions options_;
  const Device device_;
  std::vector<std::unique_ptr<Slot>> slots_;
  Prefetcher<PinnedBatch> prefetcher_;  // last: its thread uses the others
};

}  // namespace

std::unique_ptr<RowSource> make_pinned_rows(TensorDataset data, RowSourceOptions options,
                                            Device device) {
  return std::make_unique<PinnedRows>(std::move(data), options, device);
}

}  // namespace warptape
