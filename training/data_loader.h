#pragma once
#include <memory>
#include <vector>

#include "training/epoch_order.h"
#include "training/loader.h"
#include "training/tensor_dataset.h"

namespace warptape {

struct DataLoaderOptions {
  int64_t batch_size = 1;
  bool shuffle = false;    // a new order each epoch, a function of seed and epoch
  bool drop_last = false;  // leave out a last batch that is smaller
  uint64_t seed = 0;
  int64_t prefetch = 2;  // batches made ahead on a thread
  Device device = cpu;   // where batches go
};

class RowSource;

// Batches of a TensorDataset, made ahead on a thread; on "cuda" they come through pinned memory and
// are queued on the current stream.
class DataLoader final : public Loader {
 public:
  DataLoader(TensorDataset data, DataLoaderOptions options);  // ValueError for nonsense
  // Of the data, the rows with these numbers, as random_split gives them.
  DataLoader(TensorDataset data, std::vector<int64_t> rows, DataLoaderOptions options);
  ~DataLoader() override;

  void start(uint64_t epoch, int64_t left_out = 0) override;
  std::optional<Batch> next_batch() override;  // rethrows what the thread threw
  int64_t batches_per_epoch() const override;
  int64_t size() const override { return static_cast<int64_t>(rows_.size()); }

 private:
  std::vector<int64_t> rows_;
  EpochOrder order_;
  std::unique_ptr<RowSource> source_;
};

}  // namespace warptape
