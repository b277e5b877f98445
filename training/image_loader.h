#pragma once
// From uint8 images to normalised batches: (pixel / 255, resized bilinearly, - mean) / std per
// channel.

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "training/image_data.h"

namespace warptape {

struct ImageTransform {
  int64_t image_size = 32;           // height and width of the result
  std::vector<double> mean = {0.0};  // one per channel
  std::vector<double> std = {1.0};
  DType dtype = float32;
};

// Mean and standard deviation (of the population) of pixel / 255 per channel over these images.
struct ChannelStatistics {
  std::vector<double> mean;
  std::vector<double> std;  // 1 for a channel that is constant
};
ChannelStatistics channel_statistics(const ImageSet& images, const std::vector<int64_t>& indices);

struct ImageBatch {
  Tensor images;  // (n, C, image_size, image_size), channels-last, the transform's dtype
  Tensor labels;  // int64 (n)
};

// The images with these numbers. Bilinear as torch's interpolate(align_corners=False). Runs on the
// calling thread alone.
ImageBatch make_batch(const ImageSet& images, const int64_t* indices, int64_t count,
                      const ImageTransform& transform);

struct ImageLoaderOptions {
  int64_t batch_size = 64;
  bool drop_last = false;  // leave out a last batch that is smaller
  bool shuffle = false;    // a new order each epoch, a function of seed and epoch
  uint64_t seed = 0;
  int64_t prefetch = 2;  // batches made ahead on a thread
};

// Batches of one epoch at a time:  loader.start(epoch); while (auto batch = loader.next()) ...
class ImageLoader {
 public:
  // Of `images`, those with the given numbers. Both must outlive the loader.
  ImageLoader(const ImageSet& images, std::vector<int64_t> indices, ImageTransform transform,
              ImageLoaderOptions options);
  ~ImageLoader();
  ImageLoader(const ImageLoader&) = delete;
  ImageLoader& operator=(const ImageLoader&) = delete;

  void start(uint64_t epoch);        // drops what is left of an earlier epoch
  std::optional<ImageBatch> next();  // nothing at the end; rethrows what the thread threw
  int64_t batches_per_epoch() const;
  int64_t size() const { return static_cast<int64_t>(indices_.size()); }

 private:
  void stop();
  void produce(std::vector<int64_t> order);

  const ImageSet& images_;
  std::vector<int64_t> indices_;
  ImageTransform transform_;
  ImageLoaderOptions options_;

  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<ImageBatch> ready_;  // these four under the mutex
  bool finished_ = true;
  bool stopping_ = false;
  std::exception_ptr failure_;
};

}  // namespace warptape
