#include "kernels/image_batch/image_batch_cuda.h"

#include <algorithm>

#include "kernels/image_batch/image_batch_kernels.h"

namespace warptape {

void image_batch_cuda(const Tensor& images, const Tensor& labels, const Tensor& indices,
                      const ImageTransform& transform, ImageBatch& batch) {
  static const int bad_index = gpu::register_report(
      "[image_batch] index {index}: got {value}, which no image has as its number");
  on_cuda::ImageBatchShape shape;
  static_assert(std::size(decltype(shape.mean){}) == max_image_channels);
  shape.images = images.size(0);
  shape.batch = indices.size(0);
  shape.channels = static_cast<int>(images.size(1));
  shape.height = static_cast<int>(images.size(2));
  shape.width = static_cast<int>(images.size(3));
  shape.size = static_cast<int>(transform.image_size);
  shape.row_scale = static_cast<double>(shape.height) / static_cast<double>(shape.size);
  shape.column_scale = static_cast<double>(shape.width) / static_cast<double>(shape.size);
  std::copy(transform.mean.begin(), transform.mean.end(), shape.mean);
  std::copy(transform.std.begin(), transform.std.end(), shape.std);
  shape.bad_index = bad_index;
  dispatch_floating(transform.dtype, [&]<class T>() {
    on_cuda::image_batch(gpu::current_stream(), shape, images.data<uint8_t>(),
                         labels.data<int64_t>(), indices.data<int64_t>(),
                         batch.images.mutable_data<T>(), batch.labels.mutable_data<int64_t>(),
                         gpu::report_word());
  });
}

}  // namespace warptape
