#pragma once
// Where the batches of an epoch come from. ImageLoader has the order and picks the source: by
// where the images lie, and where batches go.

#include <memory>
#include <optional>
#include <vector>

#include "kernels/image_batch/image_batch.h"
#include "training/image_data.h"

namespace warptape {

class BatchSource {
 public:
  virtual ~BatchSource() = default;
  // Batches of the images with these numbers; drops what is left of an earlier epoch.
  virtual void start(std::vector<int64_t> order) = 0;
  virtual std::optional<ImageBatch> next() = 0;  // nothing at the end
  // As of a Loader.
  virtual bool makes_batches_of_numbers() const { return false; }
  virtual std::optional<Tensor> next_numbers() { return std::nullopt; }
  virtual ImageBatch batch_of(const Tensor& /*numbers*/) { return {}; }
};

struct BatchSourceOptions {
  ImageTransform transform;
  int64_t batch_size = 0;
  int64_t prefetch = 0;  // batches made ahead, by the sources that have a thread
};

// The images lie where the batches go. On the CPU batches are made ahead on a thread; on another
// device a batch is one launch, queued when it is asked for.
std::unique_ptr<BatchSource> make_prefetched_batches(ImageSet images, BatchSourceOptions options);
std::unique_ptr<BatchSource> make_resident_batches(ImageSet images, BatchSourceOptions options);

// The images lie on the CPU and the batches go to "cuda". A thread gathers the pixels of a batch in
// pinned memory, from where they are copied on a stream of their own while the device is busy with
// the batches before.
std::unique_ptr<BatchSource> make_staged_batches(ImageSet images, BatchSourceOptions options,
                                                 Device device);

}  // namespace warptape
