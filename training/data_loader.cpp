#include "training/data_loader.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "core/check.h"
#include "core/device/on_device.h"
#include "training/prefetch.h"
#include "training/row_source.h"

namespace warptape {
namespace {

class CpuRows final : public RowSource {
 public:
  CpuRows(TensorDataset data, RowSourceOptions options)
      : data_(std::move(data)), options_(options), prefetcher_(options.prefetch) {}

  void start(std::vector<int64_t> order) override {
    const auto count = static_cast<int64_t>(order.size());
    const int64_t batches = (count + options_.batch_size - 1) / options_.batch_size;
    prefetcher_.start(batches, [this, order = std::move(order)](int64_t i) {
      const std::vector<int64_t> rows = rows_of_batch(order, i, options_.batch_size);
      return Batch{rows_from(data_.input(), rows), rows_from(data_.target(), rows)};
    });
  }

  std::optional<Batch> next() override { return prefetcher_.next(); }

 private:
  static Tensor rows_from(const Tensor& from, const std::vector<int64_t>& rows) {
    Tensor to = Tensor::empty(shape_of_rows(from, static_cast<int64_t>(rows.size())), from.dtype(),
                              cpu, from.memory_format());
    copy_rows(from, rows, to.mutable_raw_data());
    return to;
  }

  const TensorDataset data_;
  const RowSourceOptions options_;
  Prefetcher<Batch> prefetcher_;  // last: its thread uses the others
};

std::vector<int64_t> all_rows(int64_t count) {
  std::vector<int64_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  return rows;
}

std::unique_ptr<RowSource> make_source(TensorDataset data, RowSourceOptions options,
                                       Device device) {
  if (device == cpu) {
    return make_cpu_rows(std::move(data), options);
  }
  backend(device);  // throws where it is not there
  if constexpr (has_gpu) {
    return make_pinned_rows(std::move(data), options, device);
  } else {
    return nullptr;
  }
}

}  // namespace

std::vector<int64_t> rows_of_batch(const std::vector<int64_t>& order, int64_t i,
                                   int64_t batch_size) {
  const auto first = order.begin() + i * batch_size;
  return {first, first + std::min<int64_t>(batch_size, order.end() - first)};
}

Shape shape_of_rows(const Tensor& tensor, int64_t rows) {
  Shape shape = tensor.shape();
  shape[0] = rows;
  return shape;
}

void copy_rows(const Tensor& from, const std::vector<int64_t>& rows, void* to) {
  const auto row_bytes = static_cast<size_t>(from.bytes() / from.size(0));
  const auto* all = static_cast<const char*>(from.raw_data());
  auto* place = static_cast<char*>(to);
  for (const int64_t row : rows) {
    std::memcpy(place, all + static_cast<size_t>(row) * row_bytes, row_bytes);
    place += row_bytes;
  }
}

std::unique_ptr<RowSource> make_cpu_rows(TensorDataset data, RowSourceOptions options) {
  return std::make_unique<CpuRows>(std::move(data), options);
}

DataLoader::DataLoader(TensorDataset data, DataLoaderOptions options)
    : DataLoader(data, all_rows(data.size()), options) {}

DataLoader::DataLoader(TensorDataset data, std::vector<int64_t> rows, DataLoaderOptions options)
    : rows_(std::move(rows)),
      order_{options.batch_size, options.drop_last, options.shuffle, options.seed} {
  check<ValueError>(options.batch_size >= 1, "[DataLoader] batch_size: got {}, wanted 1 or more",
                    options.batch_size);
  check<ValueError>(options.prefetch >= 1, "[DataLoader] prefetch: got {}, wanted 1 or more",
                    options.prefetch);
  for (const int64_t row : rows_) {
    check<ValueError>(row >= 0 && row < data.size(), "[DataLoader] row: got {}, wanted 0 to {}",
                      row, data.size() - 1);
  }
  // A batch that is larger than all rows is as large as it is said to be only to drop_last.
  order_.batch_size = std::min(options.batch_size, size() + 1);
  source_ = make_source(std::move(data), {order_.batch_size, options.prefetch}, options.device);
}

DataLoader::~DataLoader() = default;

int64_t DataLoader::batches_per_epoch() const {
  return order_.batches_per_epoch(size());
}

void DataLoader::start(uint64_t epoch, int64_t left_out) {
  source_->start(order_.rows_of(rows_, epoch, left_out, "DataLoader"));
}

std::optional<Batch> DataLoader::next_batch() {
  return source_->next();
}

}  // namespace warptape
