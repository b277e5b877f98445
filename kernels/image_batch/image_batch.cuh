#pragma once
// A block makes a band of rows of one image. The rows of pixels that it needs pass through shared
// memory, so that they are read once and in whole lines, though channels lie apart in the image and
// side by side in the result. Bands of images that are shrunk a lot need more pixels than fit, but
// few of them often: they are read where they are.

#include "core/device/launch.h"
#include "core/device/report.cuh"
#include "core/simt/packs.cuh"
#include "kernels/image_batch/bilinear.h"
#include "kernels/image_batch/image_batch_cuda.h"

namespace warptape::cuda {

inline constexpr int image_batch_threads = 256;

// How images are cut into bands.
struct ImageBands {
  int rows = 0;   // of the result, per band
  int count = 0;  // per image
  int pitch = 0;  // bytes of shared memory per channel; 0: pixels are read where they are

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

__device__ inline int64_t checked_index(const ImageBatchShape& shape, int64_t n, int64_t index,
                                        gpu::ErrorReport* report) {
  if (index >= 0 && index < shape.images) {
    return index;
  }
  report_fault(report, shape.bad_index, n, index);
  return 0;
}

// The pixels of rows first to first + rows - 1 of all channels to shared memory.
__device__ inline void stage_rows(const ImageBatchShape& shape, const uint8_t* image, int first,
                                  int rows, int pitch, uint8_t* staged) {
  const int bytes = rows * shape.width;
  const int thread = static_cast<int>(threadIdx.x);
  for (int c = 0; c < shape.channels; ++c) {
    const uint8_t* from = image + (int64_t{c} * shape.height + first) * shape.width;
    uint8_t* to = staged + c * pitch;
    const int packed = simt::is_aligned16(from) ? bytes / 16 * 16 : 0;
    for (int i = thread * 16; i < packed; i += image_batch_threads * 16) {
      simt::store16(to + i, simt::load16(from + i));
    }
    for (int i = packed + thread; i < bytes; i += image_batch_threads) {
      to[i] = from[i];
    }
  }
  __syncthreads();
}

// Pixels come from pixel(channel, row, column).
template <class T, int E, class Pixel>
__device__ void make_band(const ImageBatchShape& shape, int first_row, int rows, const Pixel& pixel,
                          T* to) {
  const bool same_size = shape.height == shape.size && shape.width == shape.size;
  const auto elements = static_cast<unsigned>(rows * shape.size * shape.channels);
  for (unsigned i = threadIdx.x * E; i < elements; i += image_batch_threads * E) {
    int c = static_cast<int>(i % static_cast<unsigned>(shape.channels));
    const unsigned at = i / static_cast<unsigned>(shape.channels);
    int column = static_cast<int>(at % static_cast<unsigned>(shape.size));
    int row = first_row + static_cast<int>(at / static_cast<unsigned>(shape.size));
    simt::Pack<T, E> pack;
#pragma unroll
    for (int e = 0; e < E; ++e) {
      double value = 0;
      if (same_size) {
        value = pixel(c, row, column) / 255.0;
      } else {
        value = bilinear::sample(bilinear::tap(row, shape.height, shape.row_scale),
                                 bilinear::tap(column, shape.width, shape.column_scale),
                                 [&](int y, int x) { return pixel(c, y, x); });
      }
      pack[e] = static_cast<T>(bilinear::normalized(value, shape.mean[c], shape.std[c]));
      if (++c == shape.channels) {
        c = 0;
        if (++column == shape.size) {
          column = 0;
          ++row;
        }
      }
    }
    simt::store_pack<E>(to + i, pack);
  }
}

// Four blocks, 32 warps, are resident at least.
template <class T, int E, bool Staged>
__global__ void __launch_bounds__(image_batch_threads, 4)
    image_batch_kernel(const ImageBatchShape __grid_constant__ shape, const ImageBands bands,
                       const uint8_t* images, const int64_t* labels, const int64_t* indices, T* to,
                       int64_t* to_labels, gpu::ErrorReport* report) {
  const int64_t n = blockIdx.x / static_cast<unsigned>(bands.count);
  const int band = static_cast<int>(blockIdx.x % static_cast<unsigned>(bands.count));
  const int64_t index = checked_index(shape, n, indices[n], report);
  if (band == 0 && threadIdx.x == 0) {
    to_labels[n] = labels[index];
  }
  const uint8_t* image = images + index * shape.channels * shape.height * shape.width;
  const int first_row = band * bands.rows;
  const int below = shape.size - first_row;
  const int rows = below < bands.rows ? below : bands.rows;
  to += (n * shape.size + first_row) * shape.size * shape.channels;
  if constexpr (Staged) {
    uint8_t* staged = simt::dynamic_shared<uint8_t>();
    const int first = bilinear::tap(first_row, shape.height, shape.row_scale).first;
    const int last = bilinear::tap(first_row + rows - 1, shape.height, shape.row_scale).second;
    stage_rows(shape, image, first, last - first + 1, bands.pitch, staged);
    const auto pixel = [&](int c, int y, int x) {
      return staged[c * bands.pitch + (y - first) * shape.width + x];
    };
    make_band<T, E>(shape, first_row, rows, pixel, to);
  } else {
    const auto pixel = [&](int c, int y, int x) {
      return image[(int64_t{c} * shape.height + y) * shape.width + x];
    };
    make_band<T, E>(shape, first_row, rows, pixel, to);
  }
}

}  // namespace warptape::cuda
