#pragma once
#include "core/device/gpu.h"

namespace warptape::on_cuda {

// What the kernel is told of its images and its batch; passed by value.
struct ImageBatchShape {
  int64_t images = 0;  // in the data set
  int64_t batch = 0;
  int channels = 0;
  int height = 0;  // of an image
  int width = 0;
  int size = 0;          // of a result
  double row_scale = 1;  // height / size
  double column_scale = 1;
  double mean[16] = {};
  double std[16] = {};
  int bad_index = 0;  // the report's code

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

// images: uint8 (images, channels, height, width); labels: (images); indices: (batch).
// to: (batch, size, size, channels); to_labels: (batch).
template <class T>
void image_batch(gpu::StreamHandle stream, const ImageBatchShape& shape, const uint8_t* images,
                 const int64_t* labels, const int64_t* indices, T* to, int64_t* to_labels,
                 gpu::ErrorReport* report);

}  // namespace warptape::on_cuda
