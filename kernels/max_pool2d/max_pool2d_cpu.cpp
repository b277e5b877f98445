// Max pooling in channels-last: the innermost loops run along channels, where the compiler can use
// vectors. oneDNN's pooling is not used: it can neither take ReLU in nor leave the index in a byte.

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/parallel.h"
#include "core/primitives.h"
#include "core/widened.h"
#include "kernels/max_pool2d/max_pool2d_kernels.h"
#include "kernels/max_pool2d/max_pool2d_pixels.h"

namespace warptape {
namespace {

struct Window {
  int64_t first_row, first_column;  // may lie in the padding
};

Window window_of(const PoolGeometry& g, int64_t oh, int64_t ow) {
  return {oh * g.stride.height - g.padding.height, ow * g.stride.width - g.padding.width};
}

// Calls body(tap, offset of the pixel within its image, in pixels) for the taps inside the image.
template <class Body>
void for_each_tap(const PoolGeometry& g, const Window& window, const Body& body) {
  for (int64_t r = 0; r < g.kernel.height; ++r) {
    const int64_t ih = window.first_row + r * g.dilation.height;
    if (ih < 0 || ih >= g.height) {
      continue;
    }
    for (int64_t s = 0; s < g.kernel.width; ++s) {
      const int64_t iw = window.first_column + s * g.dilation.width;
      if (iw >= 0 && iw < g.width) {
        body(r * g.kernel.width + s, ih * g.width + iw);
      }
    }
  }
}

// A line of windows of a row-major tensor (N, C, H', W') as pixels, and back: where y or dy is
// row-major, lines are turned one by one, while the caches hold them.
struct LineOfRows {
  LineOfRows(const PoolGeometry& g, int64_t line)
      : channels(g.channels),
        windows(g.out_width),
        from_channel_to_channel(g.out_height * g.out_width),
        first((line / g.out_height * g.channels * g.out_height + line % g.out_height) *
              g.out_width) {}

  template <class T>
  void write(const T* __restrict pixels, T* __restrict rows) const {
    for (int64_t c = 0; c < channels; ++c) {
      T* __restrict to = rows + first + c * from_channel_to_channel;
      for (int64_t ow = 0; ow < windows; ++ow) {
        to[ow] = pixels[ow * channels + c];
      }
    }
  }
  template <class T>
  void read(const T* __restrict rows, T* __restrict pixels) const {
    for (int64_t c = 0; c < channels; ++c) {
      const T* __restrict from = rows + first + c * from_channel_to_channel;
      for (int64_t ow = 0; ow < windows; ++ow) {
        pixels[ow * channels + c] = from[ow];
      }
    }
  }

  int64_t channels, windows, from_channel_to_channel, first;
};

// Whether all windows are of two by two neighbours, all in the image.
bool windows_are_squares(const PoolGeometry& g) {
  const auto fits = [](int64_t kernel, int64_t stride, int64_t padding, int64_t dilation,
                       int64_t size, int64_t out) {
    return kernel == 2 && padding == 0 && dilation == 1 && (out - 1) * stride + 2 <= size;
  };
  return fits(g.kernel.height, g.stride.height, g.padding.height, g.dilation.height, g.height,
              g.out_height) &&
         fits(g.kernel.width, g.stride.width, g.padding.width, g.dilation.width, g.width,
              g.out_width);
}

template <class T, class Index>
void forward(const Tensor& x, const PoolGeometry& g, bool with_relu, Tensor& y, Tensor& indices) {
  const T* px = x.data<T>();
  T* py = y.mutable_data<T>();
  Index* pi = indices.defined() ? indices.mutable_data<Index>() : nullptr;
  const int64_t channels = g.channels;
  const auto nowhere = static_cast<Index>(g.kernel.height * g.kernel.width);
  const bool by_rows = y.memory_format() == MemoryFormat::RowMajor;
  const bool squares = sizeof(T) < 8 && sizeof(Index) == 1 && windows_are_squares(g);
  parallel_for(g.batch * g.out_height, pool_line_grain(g), [&](int64_t begin, int64_t end) {
    std::vector<Index> unwanted(static_cast<size_t>(channels));
    std::vector<T> pixels(static_cast<size_t>(by_rows ? g.out_width * channels : 0));
    for (int64_t line = begin; line < end; ++line) {
      T* const line_of_y = by_rows ? pixels.data() : py + line * g.out_width * channels;
      const T* image = px + line / g.out_height * g.height * g.width * channels;
      for (int64_t ow = 0; ow < g.out_width; ++ow) {
        const int64_t at = (line * g.out_width + ow) * channels;
        T* best = line_of_y + ow * channels;
        Index* index = pi != nullptr ? pi + at : unwanted.data();
        if constexpr (sizeof(T) < 8 && sizeof(Index) == 1) {
          if (squares) {
            const Window window = window_of(g, line % g.out_height, ow);
            const T* const corner =
                image + (window.first_row * g.width + window.first_column) * channels;
            const T* const below = corner + g.width * channels;
            const T* const pixels_of[] = {corner, corner + channels, below, below + channels};
            fold_windows(pixels_of, channels, with_relu, best, index);
            continue;
          }
        }
        std::fill_n(best, channels, static_cast<T>(-std::numeric_limits<T>::infinity()));
        std::fill_n(index, channels, Index{0});
        bool first = true;
        for_each_tap(g, window_of(g, line % g.out_height, ow), [&](int64_t tap, int64_t pixel) {
          if (first) {  // so that a window of -infinities points into the image
            std::fill_n(index, channels, static_cast<Index>(tap));
            first = false;
          }
          fold_pixel(image + pixel * channels, channels, static_cast<Index>(tap), best, index);
        });
        if (with_relu) {
          for (int64_t c = 0; c < channels; ++c) {
            const bool dead = best[c] <= 0;
            index[c] = dead ? nowhere : index[c];
            best[c] = dead ? T{} : best[c];
          }
        }
      }
      if (by_rows) {
        LineOfRows(g, line).write(pixels.data(), py);
      }
    }
  });
}

// Adds the gradients of image n's windows into its (zeroed) pixels. One thread owns an image.
template <class T, class Index>
void scatter_image(const T* dy, const Index* indices, const PoolGeometry& g, int64_t n, T* dx) {
  const int64_t channels = g.channels;
  T* image = dx + n * g.height * g.width * channels;
  std::fill_n(image, g.height * g.width * channels, T(0));
  for (int64_t oh = 0; oh < g.out_height; ++oh) {
    for (int64_t ow = 0; ow < g.out_width; ++ow) {
      const int64_t at = ((n * g.out_height + oh) * g.out_width + ow) * channels;
      for_each_tap(g, window_of(g, oh, ow), [&](int64_t tap, int64_t pixel) {
        T* to = image + pixel * channels;
        for (int64_t c = 0; c < channels; ++c) {
          to[c] += indices[at + c] == static_cast<Index>(tap) ? dy[at + c] : T(0);
        }
      });
    }
  }
}

// The same where windows are disjoint and cover the image: every pixel is written exactly once. dy:
// of this line.
template <class T, class Index>
void spread_line(const T* __restrict dy, const Index* __restrict indices, const PoolGeometry& g,
                 int64_t line, T* __restrict dx) {
  const int64_t channels = g.channels;
  const int64_t n = line / g.out_height;
  const int64_t oh = line % g.out_height;
  for (int64_t r = 0; r < g.kernel.height; ++r) {
    T* row = dx + (n * g.height + oh * g.kernel.height + r) * g.width * channels;
    for (int64_t ow = 0; ow < g.out_width; ++ow) {
      const int64_t at = (line * g.out_width + ow) * channels;
      for (int64_t s = 0; s < g.kernel.width; ++s) {
        const auto tap = static_cast<Index>(r * g.kernel.width + s);
        spread_pixel(dy + ow * channels, indices + at, channels, tap,
                     row + (ow * g.kernel.width + s) * channels);
      }
    }
  }
}

bool windows_tile_image(const PoolGeometry& g) {
  return g.windows_are_adjacent() && g.out_height * g.kernel.height == g.height &&
         g.out_width * g.kernel.width == g.width;
}

template <class T, class Index>
void spread(const Tensor& dy, const Tensor& indices, const PoolGeometry& g, Tensor& dx) {
  const bool by_rows = dy.memory_format() == MemoryFormat::RowMajor;
  const T* pdy = dy.data<T>();
  const Index* pi = indices.data<Index>();
  T* to = dx.mutable_data<T>();
  parallel_for(g.batch * g.out_height, pool_line_grain(g), [&](int64_t begin, int64_t end) {
    const int64_t elements = g.out_width * g.channels;
    std::vector<T> pixels(static_cast<size_t>(by_rows ? elements : 0));
    for (int64_t line = begin; line < end; ++line) {
      if (by_rows) {
        LineOfRows(g, line).read(pdy, pixels.data());
      }
      spread_line(by_rows ? pixels.data() : pdy + line * elements, pi, g, line, to);
    }
  });
}

template <class T, class Index>
void scatter(const Tensor& dy, const Tensor& indices, const PoolGeometry& g, Tensor& dx) {
  const T* pdy = dy.data<T>();
  const Index* pi = indices.data<Index>();
  T* to = dx.mutable_data<T>();
  parallel_for(g.batch, pool_line_grain(g) / g.out_height + 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      scatter_image(pdy, pi, g, n, to);
    }
  });
}

// body.template operator()<T, Index>() of elements of this dtype and indices of that one.
template <class Body>
void dispatch_pooled(DType elements, DType indices, const Body& body) {
  dispatch_floating(elements, [&]<class T>() {
    if (indices == uint8) {
      body.template operator()<T, uint8_t>();
    } else {
      body.template operator()<T, int64_t>();
    }
  });
}

}  // namespace

void max_pool2d_forward_cpu(const Tensor& x, const PoolGeometry& geometry, bool with_relu,
                            Tensor& y, Tensor& indices) {
  dispatch_pooled(x.dtype(), pool_index_dtype(geometry), [&]<class T, class Index>() {
    forward<T, Index>(x, geometry, with_relu, y, indices);
  });
}

void max_pool2d_backward_cpu(const Tensor& dy, const Tensor& indices, const PoolGeometry& geometry,
                             Tensor& dx) {
  if (windows_tile_image(geometry)) {
    dispatch_pooled(dy.dtype(), indices.dtype(),
                    [&]<class T, class Index>() { spread<T, Index>(dy, indices, geometry, dx); });
    return;
  }
  const Tensor wide_dy = primitives::relayout(widened(dy), MemoryFormat::ChannelsLast);
  through_wide(dx, [&](Tensor& wide_dx) {  // pixels of several windows are sums
    dispatch_computed(wide_dx.dtype(), [&]<class T>() {
      if (indices.dtype() == uint8) {
        scatter<T, uint8_t>(wide_dy, indices, geometry, wide_dx);
      } else {
        scatter<T, int64_t>(wide_dy, indices, geometry, wide_dx);
      }
    });
    return true;
  });
}

}  // namespace warptape
