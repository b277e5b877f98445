#pragma once
// From uint8 images to normalised batches on a device, in an order that depends on seed and epoch
// alone.

#include <memory>
#include <optional>
#include <vector>

#include "kernels/image_batch/image_batch.h"
#include "training/epoch_order.h"
#include "training/image_data.h"
#include "training/loader.h"

namespace warptape {

// Mean and standard deviation (of the population) of pixel / 255 per channel over these images,
// which lie on the CPU.
struct ChannelStatistics {
  std::vector<double> mean;
  std::vector<double> std;  // 1 for a channel that is constant
};
ChannelStatistics channel_statistics(const ImageSet& images, const std::vector<int64_t>& indices);

struct ImageLoaderOptions {
  int64_t batch_size = 64;
  bool drop_last = false;  // leave out a last batch that is smaller
  bool shuffle = false;    // a new order each epoch, a function of seed and epoch
  uint64_t seed = 0;
  int64_t prefetch = 2;  // batches made ahead on a thread
  Device device = cpu;   // where batches go
};

class BatchSource;

// Batches of one epoch at a time:  loader.start(epoch); while (auto batch = loader.next()) ...
// The images may lie on the CPU or where batches go; the batches are the same bit by bit.
class ImageLoader final : public Loader {
 public:
  // Of `images`, those with the given numbers. ValueError for nonsense.
  ImageLoader(const ImageSet& images, std::vector<int64_t> indices, const ImageTransform& transform,
              ImageLoaderOptions options);
  ~ImageLoader() override;

  void start(uint64_t epoch, int64_t left_out = 0) override;
  // Nothing at the end; rethrows what a thread threw. On "cuda" the batch is queued on the current
  // stream, which has to be the same one throughout.
  std::optional<ImageBatch> next();
  std::optional<Batch> next_batch() override;  // the same: images and labels
  bool makes_batches_of_numbers() const override;
  std::optional<Tensor> next_numbers() override;
  Batch batch_of(const Tensor& numbers) override;
  int64_t batches_per_epoch() const override;
  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }

 private:
  std::vector<int64_t> indices_;
  EpochOrder order_;
  std::unique_ptr<BatchSource> source_;
};

}  // namespace warptape
