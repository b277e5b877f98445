#pragma once
// What the kernels of 2-D pooling share. All tensors are channels-last. A thread owns a pack of E
// channels of one pixel: of y in the forward pass, of dx or, where windows are adjacent, of dy in
// the backward pass. So every element is written once and sums have a fixed order.

#include <algorithm>

#include "core/device/launch.h"
#include "core/element_types.h"
#include "core/simt/packs.cuh"
#include "kernels/pool/pool_windows.h"

namespace warptape::pool {

inline constexpr int block_threads = 256;

// Whether channels divide into packs, aligned in both tensors.
template <class T>
bool fits_packs(const PoolGeometry& g, const T* in, const T* out) {
  return g.channels % simt::pack_size<T> == 0 && simt::is_aligned16(in) && simt::is_aligned16(out);
}

// PoolGeometry for kernels: 32 bits suffice within an image.
struct Windows {
  int64_t images;
  int channels;
  PoolAxis vertical, horizontal;

  explicit Windows(const PoolGeometry& g)
      : images(g.batch),
        channels(static_cast<int>(g.channels)),
        vertical(g.vertical()),
        horizontal(g.horizontal()) {}

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

// A thread per pack of images of rows x columns pixels.
template <int E>
LaunchConfig config_of(const char* name, gpu::StreamHandle stream, const Windows& w, int rows,
                       int columns) {
  const int64_t threads = w.images * rows * columns * (w.channels / E);
  return {.grid = dim3(static_cast<unsigned>((threads + block_threads - 1) / block_threads)),
          .block = dim3(block_threads),
          .stream = stream,
          .name = name};
}

struct Place {
  int64_t image;  // w.images and more for threads behind the last one
  int row, column;
  int channel;  // the pack's first
};

template <int E>
__device__ Place own_place(const Windows& w, int rows, int columns) {
  const auto packs = static_cast<unsigned>(w.channels / E);
  const unsigned per_image = static_cast<unsigned>(rows) * static_cast<unsigned>(columns) * packs;
  const uint64_t thread = uint64_t{blockIdx.x} * block_threads + threadIdx.x;
  const uint64_t image = thread / per_image;
  const auto in_image = static_cast<unsigned>(thread - image * per_image);
  const unsigned pixel = in_image / packs;
  const unsigned row = pixel / static_cast<unsigned>(columns);
  return {static_cast<int64_t>(image), static_cast<int>(row),
          static_cast<int>(pixel - row * static_cast<unsigned>(columns)),
          static_cast<int>(in_image - pixel * packs) * E};
}

__device__ inline int64_t pixel_offset(const Windows& w, int64_t image, int rows, int columns,
                                       int row, int column) {
  return ((image * rows + row) * columns + column) * w.channels;
}

// The taps of a window, in row-major order. They are loaded in batches, so that each thread has
// several loads under way. Taps outside of the image, and behind the last one, read as `outside`.
template <int E, class T>
struct TapReader {
  static constexpr int batch = 4;

  const Windows& w;
  const T* image;  // at the thread's channels
  int left;
  int row, column, in_row;  // of the next tap
  T outside;
  simt::Pack<T, E> values[batch];

  // `out`: of the window.
  __device__ TapReader(const Windows& windows, const T* x, const Place& out, T outside)
      : w(windows),
        image(x + pixel_offset(w, out.image, w.vertical.size, w.horizontal.size, 0, 0) +
              out.channel),
        left(w.horizontal.first_element(out.column)),
        row(w.vertical.first_element(out.row)),
        column(left),
        in_row(0),
        outside(outside) {}

  // The next ones, of which `rest` are left.
  __device__ void load(int64_t rest) {
#pragma unroll
    for (int k = 0; k < batch; ++k) {
      // As unsigned numbers, what lies before the image lies behind it.
      const bool inside = k < rest &&
                          static_cast<unsigned>(row) < static_cast<unsigned>(w.vertical.size) &&
                          static_cast<unsigned>(column) < static_cast<unsigned>(w.horizontal.size);
      values[k] = simt::repeat_pack<E>(outside);
      if (inside) {
        values[k] = simt::load_pack<E>(image + (row * w.horizontal.size + column) * w.channels);
      }
      column += w.horizontal.dilation;
      if (++in_row == w.horizontal.kernel) {
        in_row = 0;
        column = left;
        row += w.vertical.dilation;
      }
    }
  }
};

// A Source of gradients is a kernel argument; source.load<E>(w, oh, ow, offset in dy) gives what
// returns, called with a tap, the gradient by the window's element there.

// Where windows are adjacent: the gradients of a window's elements, and zeros for what no window
// covers, which lies behind the last ones.
template <int E, class T, class Window>
__device__ void spread_window(const Windows& w, const Place& out, const Window& window, T* dx) {
  const int top = out.row * w.vertical.kernel;
  const int left = out.column * w.horizontal.kernel;
  const int bottom = out.row + 1 < w.vertical.out_size ? top + w.vertical.kernel : w.vertical.size;
  const int right =
      out.column + 1 < w.horizontal.out_size ? left + w.horizontal.kernel : w.horizontal.size;
  T* const image =
      dx + pixel_offset(w, out.image, w.vertical.size, w.horizontal.size, 0, 0) + out.channel;
  for (int row = top; row < bottom; ++row) {
    for (int column = left; column < right; ++column) {
      const int r = row - top;
      const int s = column - left;
      simt::Pack<Compute<T>, E> gradient = {};
      if (r < w.vertical.kernel && s < w.horizontal.kernel) {
        gradient = window(int64_t{r} * w.horizontal.kernel + s);
      }
      simt::store_pack<E>(image + (row * w.horizontal.size + column) * w.channels,
                          simt::cast_pack<T>(gradient));
    }
  }
}

// dy is read once.
template <int E, class T, class Source>
__global__ void __launch_bounds__(block_threads, 4)
    adjacent_backward(const Windows __grid_constant__ w, const Source source, T* dx) {
  const int out_height = w.vertical.out_size;
  const int out_width = w.horizontal.out_size;
  const Place out = own_place<E>(w, out_height, out_width);
  if (out.image >= w.images) {
    return;
  }
  const auto window = source.template load<E>(
      w, out.row, out.column,
      pixel_offset(w, out.image, out_height, out_width, out.row, out.column) + out.channel);
  spread_window<E>(w, out, window, dx);
}

// Any windows: a thread adds up what those over its pixel give.
template <int E, class T, class Source>
__global__ void __launch_bounds__(block_threads, 4)
    gather_backward(const Windows __grid_constant__ w, const Source source, T* dx) {
  const Place in = own_place<E>(w, w.vertical.size, w.horizontal.size);
  if (in.image >= w.images) {
    return;
  }
  const int rows_end = w.vertical.windows_end(in.row);
  const int columns_begin = w.horizontal.windows_begin(in.column);
  const int columns_end = w.horizontal.windows_end(in.column);
  simt::Pack<Compute<T>, E> sum = {};
  for (int oh = w.vertical.windows_begin(in.row); oh < rows_end; ++oh) {
    const int r = w.vertical.tap_on(in.row, oh);
#pragma unroll 1  // few, and registers are scarce
    for (int ow = columns_begin; ow < columns_end; ++ow) {
      const int s = w.horizontal.tap_on(in.column, ow);
      if (r >= 0 && s >= 0) {
        const int64_t at =
            pixel_offset(w, in.image, w.vertical.out_size, w.horizontal.out_size, oh, ow);
        const auto window = source.template load<E>(w, oh, ow, at + in.channel);
        const simt::Pack<Compute<T>, E> gradient = window(int64_t{r} * w.horizontal.kernel + s);
#pragma unroll
        for (int e = 0; e < E; ++e) {
          sum[e] += gradient[e];
        }
      }
    }
  }
  const int64_t at =
      pixel_offset(w, in.image, w.vertical.size, w.horizontal.size, in.row, in.column);
  simt::store_pack<E>(dx + at + in.channel, simt::cast_pack<T>(sum));
}

template <int E, class T, class Source>
void run_backward(const char* name, gpu::StreamHandle stream, const PoolGeometry& g,
                  const Source& source, T* dx) {
  const Windows w(g);
  if (g.windows_are_adjacent()) {
    launch(adjacent_backward<E, T, Source>,
           config_of<E>(name, stream, w, w.vertical.out_size, w.horizontal.out_size), w, source,
           dx);
  } else {
    launch(gather_backward<E, T, Source>,
           config_of<E>(name, stream, w, w.vertical.size, w.horizontal.size), w, source, dx);
  }
}

}  // namespace warptape::pool
