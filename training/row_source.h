#pragma once
// How a DataLoader brings the rows of an epoch where batches go.

#include <memory>
#include <optional>
#include <vector>

#include "training/loader.h"
#include "training/tensor_dataset.h"

namespace warptape {

class RowSource {
 public:
  virtual ~RowSource() = default;
  // Batches of the rows with these numbers; drops what is left of an earlier epoch.
  virtual void start(std::vector<int64_t> order) = 0;
  virtual std::optional<Batch> next() = 0;  // nothing at the end
};

struct RowSourceOptions {
  int64_t batch_size = 0;
  int64_t prefetch = 0;
};

std::unique_ptr<RowSource> make_cpu_rows(TensorDataset data, RowSourceOptions options);
std::unique_ptr<RowSource> make_pinned_rows(TensorDataset data, RowSourceOptions options,
                                            Device device);

// The part of an order that batch i has.
std::vector<int64_t> rows_of_batch(const std::vector<int64_t>& order, int64_t i,
                                   int64_t batch_size);
// The tensor's shape with so many rows.
Shape shape_of_rows(const Tensor& tensor, int64_t rows);
// Copies these rows one after the other: rows lie together in either memory format.
void copy_rows(const Tensor& from, const std::vector<int64_t>& rows, void* to);

}  // namespace warptape
