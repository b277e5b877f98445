#include <vector>

#include "core/parallel.h"
#include "core/tape.h"
#include "kernels/common/pool_geometry.h"

namespace warptape {
namespace {

// The part of one window that lies in the image, and what its sum is divided by.
struct Window {
  int64_t row_begin, row_end, column_begin, column_end;
  double divisor;
};

Window window_of(const PoolGeometry& g, int64_t oh, int64_t ow, bool count_include_pad) {
  const int64_t top = oh * g.stride.height - g.padding.height;
  const int64_t left = ow * g.stride.width - g.padding.width;
  // A window of ceil_mode may reach beyond the padding; what lies there counts in no case.
  const int64_t bottom = std::min(top + g.kernel.height, g.height + g.padding.height);
  const int64_t right = std::min(left + g.kernel.width, g.width + g.padding.width);
  Window window{std::max<int64_t>(top, 0), std::min(bottom, g.height), std::max<int64_t>(left, 0),
                std::min(right, g.width), 0};
  const int64_t inside =
      (window.row_end - window.row_begin) * (window.column_end - window.column_begin);
  window.divisor =
      static_cast<double>(count_include_pad ? (bottom - top) * (right - left) : inside);
  return window;
}

}  // namespace

void avg_pool2d_forward_cpu(const Tensor& x, const PoolGeometry& g, bool count_include_pad,
                            Tensor& y) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    const T* px = x.data<T>();
    T* py = y.mutable_data<T>();
    parallel_for(g.batch * g.out_height, 1, [&](int64_t begin, int64_t end) {
      std::vector<double> sums(static_cast<size_t>(g.channels));
      for (int64_t line = begin; line < end; ++line) {
        const T* image = px + line / g.out_height * g.height * g.width * g.channels;
        for (int64_t ow = 0; ow < g.out_width; ++ow) {
          const Window window = window_of(g, line % g.out_height, ow, count_include_pad);
          std::fill(sums.begin(), sums.end(), 0.0);
          for (int64_t ih = window.row_begin; ih < window.row_end; ++ih) {
            for (int64_t iw = window.column_begin; iw < window.column_end; ++iw) {
              const T* pixel = image + (ih * g.width + iw) * g.channels;
              for (int64_t c = 0; c < g.channels; ++c) {
                sums[static_cast<size_t>(c)] += pixel[c];
              }
            }
          }
          T* to = py + (line * g.out_width + ow) * g.channels;
          for (int64_t c = 0; c < g.channels; ++c) {
            to[c] = static_cast<T>(sums[static_cast<size_t>(c)] / window.divisor);
          }
        }
      }
    });
  });
}

void avg_pool2d_backward_cpu(const Tensor& dy, const PoolGeometry& g, bool count_include_pad,
                             Tensor& dx) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* pdy = dy.data<T>();
    T* pdx = dx.mutable_data<T>();
    const int64_t image_size = g.height * g.width * g.channels;
    // One thread owns an image, because windows may overlap.
    parallel_for(g.batch, 1, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        T* image = pdx + n * image_size;
        std::fill_n(image, image_size, T(0));
        for (int64_t oh = 0; oh < g.out_height; ++oh) {
          for (int64_t ow = 0; ow < g.out_width; ++ow) {
            const Window window = window_of(g, oh, ow, count_include_pad);
            const T* from = pdy + ((n * g.out_height + oh) * g.out_width + ow) * g.channels;
            const T scale = static_cast<T>(1 / window.divisor);
            for (int64_t ih = window.row_begin; ih < window.row_end; ++ih) {
              for (int64_t iw = window.column_begin; iw < window.column_end; ++iw) {
                T* to = image + (ih * g.width + iw) * g.channels;
                for (int64_t c = 0; c < g.channels; ++c) {
                  to[c] += from[c] * scale;
                }
              }
            }
          }
        }
      }
    });
  });
}

}  // namespace warptape
