#pragma once
// A convolution and its gradients as products for the matrix core. Images and filters are
// channels-last: x (N, H, W, C), filters (O, kH, kW, C / groups), y (N, H', W', O).

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/conv2d/conv2d_kernels.h"
#include "kernels/matrix/matrix.h"
#include "kernels/matrix/run_product.h"
#include "kernels/pool/pool_windows.h"

namespace warptape::conv2d_products {

using matrix::index_of;
using matrix::radix_of;

// Sizes as the core counts them; too large ones are an error of the op that asked.
class Indices {
 public:
  explicit Indices(const ConvGeometry& g) : op_(g.op) {}
  int operator()(int64_t value) const { return index_of(op_, value); }

 private:
  const char* op_;
};

// Which pixels of x the taps of the pixels of y meet.
inline matrix::TapGeometry taps_of(const ConvGeometry& g) {
  const Indices int_of(g);
  const WindowAxis& vertical = g.vertical();
  const WindowAxis& horizontal = g.horizontal();
  matrix::check_elements(g.op, "an image", g.pixels() * g.in_channels);
  matrix::TapGeometry taps = matrix::TapGeometry::of_images(
      int_of(vertical.size), int_of(horizontal.size), int_of(g.in_channels));
  taps.stride_y = int_of(vertical.stride);
  taps.stride_x = int_of(horizontal.stride);
  taps.dilation_y = int_of(vertical.dilation);
  taps.dilation_x = int_of(horizontal.dilation);
  taps.offset_y = -int_of(vertical.padding_before);
  taps.offset_x = -int_of(horizontal.padding_before);
  return taps;
}

inline matrix::Radix pixels_of_y(const ConvGeometry& g) {
  return radix_of(g.op, g.batch, g.vertical().out, g.horizontal().out);
}
inline matrix::Radix taps_by_channel(const ConvGeometry& g) {
  return radix_of(g.op, g.vertical().kernel, g.horizontal().kernel, g.in_per_group());
}
inline int64_t filter_size(const ConvGeometry& g) {
  return g.taps() * g.in_per_group();
}

// What a forward product reads; its rows are the pixels of y.
template <class Product, class T, class Rows>
void read_forward(Product& product, const ConvGeometry& g, const T* x, const T* filters,
                  const Rows& rows) {
  const Indices int_of(g);
  product.a.data = x;
  product.a.rows = rows;
  product.a.depth = taps_by_channel(g);
  product.a.taps = taps_of(g);
  product.a.group_stride = g.in_per_group();
  product.b.data = filters;
  product.b.rows = {int_of(g.out_per_group())};
  product.b.depth = {int_of(filter_size(g))};
  product.b.row_stride = filter_size(g);
  product.b.depth_stride = 1;
  product.b.group_stride = g.out_per_group() * filter_size(g);
}

// Where its results lie.
template <class Out>
void place_in_y(Out& out, const ConvGeometry& g) {
  const Indices int_of(g);
  out.rows = pixels_of_y(g);
  out.row_stride = {g.out_pixels() * g.out_channels, g.horizontal().out * g.out_channels,
                    g.out_channels};
  out.columns = int_of(g.out_per_group());
  out.groups = int_of(g.groups);
  out.group_stride = g.out_per_group();
}

// y = x * filters, plus bias (or nullptr).
template <class T>
matrix::Forward<T, T> forward(const ConvGeometry& g, const T* x, const T* filters,
                              const Compute<T>* bias, bool relu, T* y) {
  matrix::Forward<T, T> product;
  read_forward(product, g, x, filters, pixels_of_y(g));
  auto& out = product.out;
  out.data = y;
  place_in_y(out, g);
  out.bias = bias;
  out.bias_group_stride = g.out_per_group();
  out.relu = relu;
  return product;
}

// The same with other ops on the way, which are to be filled in, choose_packs() last.
template <class T>
matrix::ForwardPass<T> forward_pass(const ConvGeometry& g, const T* x, const T* filters,
                                    const Compute<T>* bias, T* y) {
  matrix::ForwardPass<T> product;
  read_forward(product, g, x, filters, pixels_of_y(g));
  auto& out = product.out;
  out.data = y;
  place_in_y(out, g);
  out.bias = bias;
  return product;
}

// The largest of adjacent 2 x 2 windows of the same, or of its ReLU, by (window, channel) or by
// (image, channel, window). indices may be nullptr.
template <class T>
matrix::PooledForward<T> forward_pooled(const ConvGeometry& g, const PoolGeometry& pool, const T* x,
                                        const T* filters, const Compute<T>* bias, bool relu,
                                        bool by_rows, T* y, uint8_t* indices) {
  const Indices int_of(g);
  index_of(g.op, pool.batch * pool.out_height * pool.out_width * 4);
  const matrix::WindowedRadix rows{int_of(pool.batch), int_of(pool.out_height),
                                   int_of(pool.out_width)};
  matrix::PooledForward<T> product;
  read_forward(product, g, x, filters, rows);
  auto& out = product.out;
  out.data = y;
  out.indices = indices;
  out.rows = rows;
  out.columns = int_of(g.out_per_group());
  out.groups = int_of(g.groups);
  out.bias = bias;
  out.relu = relu;
  out.by_rows = by_rows;
  out.choose_packs();
  return product;
}

// Along one dimension, the pixels of x at `residue`, residue + stride, ... all meet the same taps:
// first_tap, first_tap + tap_step, ... Tap number t of pixel number i meets pixel i + offset +
// t * dilation of y. There may be no tap: then first_tap is 0, for the address of a tap has to lie
// within the filters even where nobody reads it.
struct ResidueClass {
  int64_t pixels = 0;
  int64_t first_tap = 0;
  int64_t tap_step = 1;
  int64_t taps = 0;
  int64_t offset = 0;
  int64_t dilation = 0;
};
inline ResidueClass residue_class(int64_t residue, const WindowAxis& axis) {
  const int64_t stride = axis.stride;
  ResidueClass result;
  result.pixels = axis.size > residue ? (axis.size - residue + stride - 1) / stride : 0;
  result.tap_step = stride / std::gcd(stride, axis.dilation);
  for (int64_t tap = 0; tap < std::min(result.tap_step, axis.kernel); ++tap) {
    const int64_t distance = residue + axis.padding_before - tap * axis.dilation;
    if (distance % stride == 0) {
      result.first_tap = tap;
      result.taps = (axis.kernel - tap + result.tap_step - 1) / result.tap_step;
      result.offset = distance / stride;
      result.dilation = -result.tap_step * axis.dilation / stride;
      break;
    }
  }
  return result;
}

// With a stride s, only every s-th pixel of x meets the same taps. body(residue_y, residue_x)
template <class Body>
void for_each_residue(const ConvGeometry& g, const Body& body) {
  const int64_t residues_y = std::min(g.vertical().stride, g.vertical().size);
  const int64_t residues_x = std::min(g.horizontal().stride, g.horizontal().size);
  for (int64_t residue_y = 0; residue_y < residues_y; ++residue_y) {
    for (int64_t residue_x = 0; residue_x < residues_x; ++residue_x) {
      body(residue_y, residue_x);
    }
  }
}

// Where pixels of x at residues (y, x) lie: the first of them.
inline int64_t first_of_residue(const ConvGeometry& g, int64_t residue_y, int64_t residue_x) {
  return (residue_y * g.horizontal().size + residue_x) * g.in_channels;
}

// What the gradient of the pixels of x at residues (y, x) reads, and where its results lie.
template <class Product, class T>
void read_data_grad(Product& product, const ConvGeometry& g, const T* dy, const T* filters,
                    int64_t residue_y, int64_t residue_x) {
  const Indices int_of(g);
  const WindowAxis& vertical = g.vertical();
  const WindowAxis& horizontal = g.horizontal();
  const ResidueClass ys = residue_class(residue_y, vertical);
  const ResidueClass xs = residue_class(residue_x, horizontal);
  matrix::check_elements(g.op, "an image", g.out_pixels() * g.out_channels);
  product.a.data = dy;
  product.a.rows = radix_of(g.op, g.batch, ys.pixels, xs.pixels);
  product.a.depth = radix_of(g.op, ys.taps, xs.taps, g.out_per_group());
  auto& taps = product.a.taps;
  taps = matrix::TapGeometry::of_images(int_of(vertical.out), int_of(horizontal.out),
                                        int_of(g.out_channels));
  taps.dilation_y = int_of(ys.dilation);
  taps.dilation_x = int_of(xs.dilation);
  taps.offset_y = int_of(ys.offset);
  taps.offset_x = int_of(xs.offset);
  product.a.group_stride = g.out_per_group();

  const int64_t in = g.in_per_group();
  matrix::check_elements(g.op, "a matrix", g.out_per_group() * filter_size(g));
  auto& b = product.b;
  b.data = filters + (ys.first_tap * horizontal.kernel + xs.first_tap) * in;
  b.rows = {int_of(in)};
  b.depth = product.a.depth;
  b.tap_y_stride = int_of(ys.tap_step * horizontal.kernel * in);
  b.tap_x_stride = int_of(xs.tap_step * in);
  b.channel_stride = int_of(filter_size(g));
  b.group_stride = g.out_per_group() * filter_size(g);

  product.out.rows = product.a.rows;
  product.out.row_stride = {g.pixels() * g.in_channels,
                            vertical.stride * horizontal.size * g.in_channels,
                            horizontal.stride * g.in_channels};
  product.out.columns = int_of(in);
  product.out.groups = int_of(g.groups);
  product.out.group_stride = in;
}

template <class T>
matrix::DataGrad<T, T> data_grad(const ConvGeometry& g, const T* dy, const T* filters, T* dx,
                                 int64_t residue_y, int64_t residue_x) {
  matrix::DataGrad<T, T> product;
  read_data_grad(product, g, dy, filters, residue_y, residue_x);
  product.out.data = dx + first_of_residue(g, residue_y, residue_x);
  return product;
}

// The same through a mask: all tensors of the pass are of x's shape and format. part and outer may
// be nullptr.
template <class T>
struct MaskedGradientPlaces {
  T* inner;
  T* outer;
  const T* part;
  const uint8_t* marks;
};
template <class T>
matrix::DataGradPass<T> masked_data_grad(const ConvGeometry& g, const T* dy, const T* filters,
                                         const MaskedGradientPlaces<T>& places, Compute<T> scale,
                                         int64_t residue_y, int64_t residue_x) {
  matrix::DataGradPass<T> product;
  read_data_grad(product, g, dy, filters, residue_y, residue_x);
  const int64_t first = first_of_residue(g, residue_y, residue_x);
  auto& out = product.out;
  out.inner = places.inner + first;
  out.outer = places.outer != nullptr ? places.outer + first : nullptr;
  out.part = places.part != nullptr ? places.part + first : nullptr;
  out.marks = places.marks + first;
  out.scale = scale;
  out.choose_packs();
  return product;
}

// The gradient of the filters: Sum is float for bfloat16. The bias's is product.out.row_sums.
template <class T, class Sum>
matrix::WeightGrad<T, Sum> weight_grad(const ConvGeometry& g, const T* dy, const T* x,
                                       Sum* dfilters) {
  const Indices int_of(g);
  matrix::WeightGrad<T, Sum> product;
  product.a.data = dy;
  product.a.rows = {int_of(g.out_per_group())};
  product.a.depth = {int_of(pixels_of_y(g).size())};
  product.a.row_stride = 1;
  product.a.depth_stride = g.out_channels;
  product.a.group_stride = g.out_per_group();
  product.b.data = x;
  product.b.rows = taps_by_channel(g);
  product.b.depth = pixels_of_y(g);
  product.b.taps = taps_of(g);
  product.b.group_stride = g.in_per_group();
  auto& out = product.out;
  out.data = dfilters;
  out.rows = {1, 1, int_of(g.out_per_group())};
  out.row_stride = {0, 0, filter_size(g)};
  out.columns = int_of(filter_size(g));
  out.groups = int_of(g.groups);
  out.group_stride = g.out_per_group() * filter_size(g);
  return product;
}

}  // namespace warptape::conv2d_products
