#pragma once
// A block makes a band of rows of one image. The rows of pixels that it needs pass through shared
// memory, so that they are read once and in whole lines, though channels lie apart in the image and
// side by side in the result. Bands of images that are shrunk a lot need more pixels than fit, but
// few of them often: they are read where they are.

#include <cmath>

#include "core/device/launch.h"
#include "core/device/report.cuh"
#include "core/simt/packs.cuh"
#include "kernels/image_batch/bilinear.h"
#include "kernels/image_batch/image_batch_cuda.h"

namespace warptape::on_cuda {

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

// pixel / 255, as division rounds it: the remainder of the product with the reciprocal corrects it,
// for all 256 of them.
__device__ inline double unit(uint8_t pixel) {
  constexpr double reciprocal = 1 / 255.0;
  const auto value = static_cast<double>(pixel);
  const double quotient = value * reciprocal;
  return std::fma(std::fma(-quotient, 255.0, value), reciprocal, quotient);
}

// E neighbouring elements of a row of the result. Their channels and columns are counted up, and
// their taps made, where they are needed: registers are short.
template <int E>
struct RowPack {
  int first_channel;
  int first_column;

  __device__ RowPack(const ImageBatchShape& shape, int pack)
      : first_channel(pack * E % shape.channels), first_column(pack * E / shape.channels) {}

  // Calls body(e, channel, column).
  template <class Body>
  __device__ void for_each(const ImageBatchShape& shape, const Body& body) const {
    int channel = first_channel;
    int column = first_column;
#pragma unroll
    for (int e = 0; e < E; ++e) {
      body(e, channel, column);
      const bool wraps = ++channel == shape.channels;
      channel = wraps ? 0 : channel;
      column += wraps ? 1 : 0;
    }
  }

  // Row y of the pixels, resized along itself alone.
  template <class Pixel>
  __device__ void along_row(const ImageBatchShape& shape, const Pixel& pixel, int y,
                            double (&values)[E]) const {
    for_each(shape, [&](int e, int channel, int column) {
      const bilinear::Tap tap = bilinear::tap(column, shape.width, shape.column_scale);
      values[e] = bilinear::mix(unit(pixel(channel, y, tap.first)),
                                unit(pixel(channel, y, tap.second)), tap.weight);
    });
  }

  // value(e, channel, column), normalised.
  template <class T, class Value>
  __device__ void store(const ImageBatchShape& shape, const Value& value, T* to) const {
    simt::Pack<T, E> pack;
    for_each(shape, [&](int e, int channel, int column) {
      pack[e] = static_cast<T>(
          bilinear::normalized(value(e, channel, column), shape.mean[channel], shape.std[channel]));
    });
    simt::store_pack<E>(to, pack);
  }
};

// Rows begin to end - 1 of the result, one pack of each. Where neighbours take the same rows of
// pixels, those are resized once.
template <class T, int E, class Pixel>
__device__ void resize_down(const ImageBatchShape& shape, const RowPack<E>& own, int begin, int end,
                            const Pixel& pixel, T* to, int64_t pitch) {
  double upper[E] = {};
  double lower[E] = {};
  int upper_row = -1;
  int lower_row = -1;
  for (int row = begin; row < end; ++row, to += pitch) {
    const bilinear::Tap tap = bilinear::tap(row, shape.height, shape.row_scale);
    if (tap.first != upper_row) {
      if (tap.first == lower_row) {
#pragma unroll
        for (int e = 0; e < E; ++e) {
          upper[e] = lower[e];
        }
      } else {
        own.along_row(shape, pixel, tap.first, upper);
      }
      upper_row = tap.first;
    }
    if (tap.second != lower_row) {
      own.along_row(shape, pixel, tap.second, lower);
      lower_row = tap.second;
    }
    own.store(
        shape, [&](int e, int, int) { return bilinear::mix(upper[e], lower[e], tap.weight); }, to);
  }
}

// Pixels come from pixel(channel, row, column). A thread owns a pack of neighbouring rows.
template <class T, int E, class Pixel>
__device__ void make_band(const ImageBatchShape& shape, int first_row, int rows, const Pixel& pixel,
                          T* to) {
  const bool same_size = shape.height == shape.size && shape.width == shape.size;
  const int packs = shape.size * shape.channels / E;
  const int thread = static_cast<int>(threadIdx.x);
  // Threads per row: a part of a warp, or whole warps.
  int width = image_batch_threads;
  while (width / 2 >= packs) {
    width /= 2;
  }
  const int groups = image_batch_threads / width;
  const int group = thread / width;
  const int per_group = (rows + groups - 1) / groups;
  const int begin = group * per_group;
  const int end = begin + per_group < rows ? begin + per_group : rows;
  const int64_t pitch = int64_t{packs} * E;
  for (int pack = thread % width; pack < packs && begin < end; pack += width) {
    const RowPack<E> own(shape, pack);
    T* own_to = to + begin * pitch + pack * E;
    if (!same_size) {
      resize_down(shape, own, first_row + begin, first_row + end, pixel, own_to, pitch);
      continue;
    }
    for (int row = first_row + begin; row < first_row + end; ++row, own_to += pitch) {
      own.store(
          shape, [&](int, int c, int x) { return unit(pixel(c, row, x)); }, own_to);
    }
  }
}

// Three blocks, 24 warps, are resident at least: doubles take registers.
template <class T, int E, bool Staged>
__global__ void __launch_bounds__(image_batch_threads, E == 8 ? 2 : 3)
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

}  // namespace warptape::on_cuda
