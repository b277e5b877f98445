#pragma once
#include <vector>

#include "core/tensor.h"

namespace warptape {

// What turns pixels into a model's numbers.
struct ImageTransform {
  int64_t image_size = 32;           // height and width of the result
  std::vector<double> mean = {0.0};  // one per channel
  std::vector<double> std = {1.0};
  DType dtype = float32;
};

struct ImageBatch {
  Tensor images;  // (n, C, image_size, image_size), channels-last, the transform's dtype
  Tensor labels;  // int64 (n)
};

inline constexpr int max_image_channels = 16;

// A batch of those images and labels whose numbers `indices` holds:
//   (pixel / 255, resized bilinearly, - mean) / std   per channel
// computed in float64 and rounded to the dtype, in one order of operations, so that all devices
// give the same bits. Bilinear as torch's interpolate(align_corners=False).
// images: uint8 (N, C, H, W), row-major, 1 to 16 channels; labels: int64 (N); indices: int64 (n),
// 0 to N - 1; all on one device, where the batch is made. An index outside of that is a ValueError,
// on "cuda" at the next synchronisation. Not differentiable. On the CPU it runs on the calling
// thread alone.
ImageBatch image_batch(const Tensor& images, const Tensor& labels, const Tensor& indices,
                       const ImageTransform& transform);

}  // namespace warptape
