#pragma once
#include "kernels/image_batch/image_batch.h"

namespace warptape {

// Fills a batch whose tensors have their shapes. On the CPU the indices have been checked.
void image_batch_cpu(const Tensor& images, const Tensor& labels, const Tensor& indices,
                     const ImageTransform& transform, ImageBatch& batch);
void image_batch_cuda(const Tensor& images, const Tensor& labels, const Tensor& indices,
                      const ImageTransform& transform, ImageBatch& batch);

}  // namespace warptape
