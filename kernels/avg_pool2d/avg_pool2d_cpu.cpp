#include <vector>

#include "core/parallel.h"
#include "core/widened.h"
#include "kernels/avg_pool2d/avg_pool2d_kernels.h"
#include "kernels/avg_pool2d/avg_window.h"

namespace warptape {
namespace {

AvgWindow window_of(const PoolGeometry& g, int64_t oh, int64_t ow, bool count_include_pad) {
  return {avg_span(g.vertical(), static_cast<int>(oh), count_include_pad),
          avg_span(g.horizontal(), static_cast<int>(ow), count_include_pad)};
}

}  // namespace

void avg_pool2d_forward_cpu(const Tensor& x, const PoolGeometry& g, bool count_include_pad,
                            Tensor& y) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    const T* px = x.data<T>();
    T* py = y.mutable_data<T>();
    parallel_for(g.batch * g.out_height, pool_line_grain(g), [&](int64_t begin, int64_t end) {
      std::vector<double> sums(static_cast<size_t>(g.channels));
      for (int64_t line = begin; line < end; ++line) {
        const T* image = px + line / g.out_height * g.height * g.width * g.channels;
        for (int64_t ow = 0; ow < g.out_width; ++ow) {
          const AvgWindow window = window_of(g, line % g.out_height, ow, count_include_pad);
          std::fill(sums.begin(), sums.end(), 0.0);
          for (int64_t ih = window.rows.begin; ih < window.rows.end; ++ih) {
            for (int64_t iw = window.columns.begin; iw < window.columns.end; ++iw) {
              const T* pixel = image + (ih * g.width + iw) * g.channels;
              for (int64_t c = 0; c < g.channels; ++c) {
                sums[static_cast<size_t>(c)] += pixel[c];
              }
            }
          }
          T* to = py + (line * g.out_width + ow) * g.channels;
          for (int64_t c = 0; c < g.channels; ++c) {
            to[c] = static_cast<T>(sums[static_cast<size_t>(c)] * window.share());
          }
        }
      }
    });
  });
}

namespace {

template <class T>
void backward(const Tensor& dy, const PoolGeometry& g, bool count_include_pad, Tensor& dx) {
  const T* pdy = dy.data<T>();
  T* pdx = dx.mutable_data<T>();
  const int64_t image_size = g.height * g.width * g.channels;
  // One thread owns an image, because windows may overlap.
  parallel_for(g.batch, pool_line_grain(g) / g.out_height + 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      T* image = pdx + n * image_size;
      std::fill_n(image, image_size, T(0));
      for (int64_t oh = 0; oh < g.out_height; ++oh) {
        for (int64_t ow = 0; ow < g.out_width; ++ow) {
          const AvgWindow window = window_of(g, oh, ow, count_include_pad);
          const T* from = pdy + ((n * g.out_height + oh) * g.out_width + ow) * g.channels;
          const T scale = static_cast<T>(window.share());
          for (int64_t ih = window.rows.begin; ih < window.rows.end; ++ih) {
            for (int64_t iw = window.columns.begin; iw < window.columns.end; ++iw) {
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
}

}  // namespace

void avg_pool2d_backward_cpu(const Tensor& narrow_dy, const PoolGeometry& g, bool count_include_pad,
                             Tensor& narrow_dx) {
  const Tensor dy = widened(narrow_dy);
  through_wide(narrow_dx, [&](Tensor& dx) {
    dispatch_computed(dy.dtype(), [&]<class T>() { backward<T>(dy, g, count_include_pad, dx); });
    return true;
  });
}

}  // namespace warptape
