#pragma once
// What the cases of the pooling ops share.

#include <functional>
#include <type_traits>

#include "core/primitives.h"
#include "kernels/cases/measured.h"
#include "kernels/pool/pool_geometry.h"

namespace warptape {

// Reduces the elements of one window that lie in the image, in row-major order. `padded` counts the
// window's elements in the image and its padding.
using WindowFunction = std::function<double(const std::vector<double>& elements, int64_t padded)>;

inline Tensor pool_reference(const Tensor& x, const PoolGeometry& g, const WindowFunction& reduce) {
  const Plain in(x.view(pool_image(g)));
  Plain y(pooled_image(g));
  for (int64_t n = 0; n < g.batch; ++n) {
    for (int64_t c = 0; c < g.channels; ++c) {
      for (int64_t oh = 0; oh < g.out_height; ++oh) {
        for (int64_t ow = 0; ow < g.out_width; ++ow) {
          std::vector<double> elements;
          int64_t padded = 0;
          for (int64_t r = 0; r < g.kernel.height; ++r) {
            for (int64_t s = 0; s < g.kernel.width; ++s) {
              const int64_t h = oh * g.stride.height - g.padding.height + r * g.dilation.height;
              const int64_t w = ow * g.stride.width - g.padding.width + s * g.dilation.width;
              padded += h < g.height + g.padding.height && w < g.width + g.padding.width;
              if (h >= 0 && h < g.height && w >= 0 && w < g.width) {
                elements.push_back(in(n, c, h, w));
              }
            }
          }
          y(n, c, oh, ow) = reduce(elements, padded);
        }
      }
    }
  }
  return y.tensor().view(pooled_shape(g));
}

// dilation: a Pair of images, a number of sequences.
template <class Options, class Dilation>
void add_pool_case(CaseTable& table, const char* name, const Shape& shape, const Options& options,
                   Dilation dilation, Fill fill, MemoryFormat format,
                   const std::function<Tensor(const Operand&, Options)>& run,
                   const WindowFunction& reduce) {
  const auto geometry_of = [=](const Tensor& x) {
    if constexpr (std::is_same_v<decltype(options.kernel_size), Pair>) {
      return make_pool_geometry("reference", x, options.kernel_size, options.stride,
                                options.padding, dilation, options.ceil_mode);
    } else {
      return make_pool_geometry_1d("reference", x, options.kernel_size, options.stride,
                                   options.padding, dilation, options.ceil_mode);
    }
  };
  table.cases.push_back({.name = name,
                         .inputs = {{.shape = shape, .fill = fill, .format = format}},
                         .run = [=](const std::vector<Operand>& in) { return run(in[0], options); },
                         .reference =
                             [=](const std::vector<Tensor>& in) {
                               return pool_reference(in[0], geometry_of(in[0]), reduce);
                             },
                         .tolerance = Tolerance::Reduction});
}

// Of channels-last images or sequences. index_bytes: kept of each output for backward.
inline MeasuredCase pool_case(const std::string& name, const std::string& windows,
                              int64_t index_bytes, const std::function<Tensor(const Operand&)>& run,
                              const MemoryBounds& bounds = {},
                              const Shape& default_shape = {8, 64, 32, 32}) {
  const auto prepare = [=](const Shape& shape, DType dtype) {
    const Tensor x = primitives::relayout(on_cuda(shape, dtype), MemoryFormat::ChannelsLast);
    const Tensor dy = Tensor::empty_like(run(x));
    const int64_t wide = 2 * (bytes_of(shape, dtype) + bytes_of(dy.shape(), dtype));
    return forward_and_backward(
        {x}, dy, [run](const std::vector<Tensor>& in) { return run(in[0]); },
        wide + 2 * index_bytes * dy.numel(), wide);
  };
  return {name, windows + ", forward and backward", default_shape, prepare, bounds};
}
// With windows of 3x3 and stride 2 a pixel lies in 2.25 windows on average, each of which reads it.
inline constexpr MemoryBounds overlap_bounds = {.moved = 2.25};

}  // namespace warptape
