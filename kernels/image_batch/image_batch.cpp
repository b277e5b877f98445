#include "kernels/image_batch/image_batch.h"

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/operand.h"
#include "core/profile.h"
#include "kernels/image_batch/image_batch_kernels.h"

namespace warptape {
namespace {

void check_arguments(const Tensor& images, const Tensor& labels, const Tensor& indices,
                     const ImageTransform& transform) {
  check<DTypeError>(images.dtype() == uint8, "[image_batch] images: got {}, wanted uint8",
                    to_string(images.dtype()));
  check<DTypeError>(labels.dtype() == int64 && indices.dtype() == int64,
                    "[image_batch] labels and indices: got {} and {}, wanted int64",
                    to_string(labels.dtype()), to_string(indices.dtype()));
  check<ShapeError>(
      images.rank() == 4 && images.memory_format() == MemoryFormat::RowMajor && images.numel() > 0,
      "[image_batch] images: got shape {}, {}, wanted (N, C, H, W), row_major and not empty",
      images.shape(), to_string(images.memory_format()));
  constexpr int64_t longest = 1 << 16;
  check<ShapeError>(images.size(2) <= longest && images.size(3) <= longest,
                    "[image_batch] images: got shape {}, wanted sides of up to {}", images.shape(),
                    longest);
  check<ShapeError>(labels.shape() == Shape{images.size(0)} && indices.rank() == 1,
                    "[image_batch] labels and indices: got shapes {} and {}, wanted ({},) and (n,)",
                    labels.shape(), indices.shape(), images.size(0));
  check<DeviceError>(images.device() == labels.device() && images.device() == indices.device(),
                     "[image_batch] devices: got images on {}, labels on {}, indices on {}, wanted "
                     "one device",
                     to_string(images.device()), to_string(labels.device()),
                     to_string(indices.device()));
  check<ValueError>(transform.image_size >= 1 && transform.image_size <= 16384,
                    "[image_batch] image_size: got {}, wanted 1 to 16384", transform.image_size);
  const int64_t channels = images.size(1);
  check<ShapeError>(channels <= max_image_channels,
                    "[image_batch] channels: got {}, wanted 1 to {}", channels, max_image_channels);
  const auto count = static_cast<size_t>(channels);
  check<ValueError>(transform.mean.size() == count && transform.std.size() == count,
                    "[image_batch] mean and std: got {} and {} values, wanted {} (one per channel)",
                    transform.mean.size(), transform.std.size(), channels);
  check<DTypeError>(is_floating(transform.dtype), "[image_batch] dtype: got {}, wanted {}",
                    to_string(transform.dtype), floating_dtype_names);
}

void check_indices(const Tensor& indices, int64_t count) {
  const int64_t* index = indices.data<int64_t>();
  for (int64_t i = 0; i < indices.numel(); ++i) {
    check<ValueError>(index[i] >= 0 && index[i] < count,
                      "[image_batch] index {}: got {}, wanted 0 to {}", i, index[i], count - 1);
  }
}

}  // namespace

ImageBatch image_batch(const Tensor& images, const Tensor& labels, const Tensor& indices,
                       const ImageTransform& transform) {
  check_arguments(images, labels, indices, transform);
  const profile::Range range("image_batch");
  const int64_t size = transform.image_size;
  const Device device = images.device();
  check_countable("image_batch", "output", {indices.size(0), images.size(1), size, size},
                  transform.dtype, {});
  ImageBatch batch;
  batch.images = Tensor::empty({indices.size(0), images.size(1), size, size}, transform.dtype,
                               device, MemoryFormat::ChannelsLast);
  batch.labels = Tensor::empty({indices.size(0)}, int64, device);
  on_device(
      "image_batch", device,
      [&] {
        check_indices(indices, images.size(0));
        image_batch_cpu(images, labels, indices, transform, batch);
      },
      [&] { image_batch_cuda(images, labels, indices, transform, batch); });
  return batch;
}

}  // namespace warptape
