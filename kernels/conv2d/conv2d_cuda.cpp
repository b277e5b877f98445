// Convolution on "cuda": cuDNN where it is chosen and can, else the depthwise kernels or the matrix
// core, which reads images through views instead of copies.

#include "core/profile_work.h"
#include "kernels/conv2d/conv2d_choice.h"
#include "kernels/conv2d/conv2d_products.h"
#include "kernels/regions/regions.h"
#include "kernels/sum/sum_kernels.h"

namespace warptape {
namespace {

// First layers have images of 1 or 3 channels, which are no whole packs of 16 bytes: on the tensor
// cores their products load elements one by one. Those worth a few launches more are made of copies
// with zeros behind the channels, as many as a pack has. For float they are predicted to gain
// little (docs/performance.md).
int64_t channels_in_packs(const ConvGeometry& geometry, DType dtype) {
  constexpr int64_t pack = matrix::pack_of<simt::bfloat16>;
  constexpr int64_t least_flops = int64_t{1} << 24;
  const bool gains = dtype == bfloat16 && geometry.groups == 1 && geometry.in_channels < pack &&
                     geometry.out_channels % pack == 0 && geometry.flops() >= least_flops;
  return gains ? pack : geometry.in_channels;
}

ConvGeometry with_channels(const ConvGeometry& geometry, int64_t channels) {
  ConvGeometry wide = geometry;
  wide.in_channels = channels;
  return wide;
}

// Of images or filters.
Shape with_channels(const Shape& shape, int64_t channels) {
  Shape wide = shape;
  wide[1] = channels;
  return wide;
}

Tensor with_channels(const char* op, const Tensor& from, int64_t channels) {
  Tensor wide = Tensor::empty(with_channels(from.shape(), channels), from.dtype(), from.device(),
                              MemoryFormat::ChannelsLast);
  place_region(op, from, region_of(from), wide, box_of(from.shape()), 0);
  return wide;
}

void own_forward(const Tensor& x, const Tensor& weight, const Tensor& bias,
                 const ConvGeometry& geometry, Tensor& y) {
  if (is_depthwise(geometry)) {
    depthwise_forward_cuda(x, weight, bias, geometry, y);
    return;
  }
  if (const int64_t channels = channels_in_packs(geometry, x.dtype());
      channels != geometry.in_channels) {
    own_forward(with_channels(geometry.op, x, channels),
                with_channels(geometry.op, weight, channels), bias,
                with_channels(geometry, channels), y);
    return;
  }
  dispatch_floating(x.dtype(), [&]<class T>() {
    const Compute<T>* bias_data = bias.defined() ? bias.data<Compute<T>>() : nullptr;
    matrix::run_product(geometry.op,
                        conv2d_products::forward(geometry, x.data<T>(), weight.data<T>(), bias_data,
                                                 false, y.mutable_data<T>()));
  });
}

// Windows that lie whole in the image, side by side.
bool are_two_by_two(const PoolGeometry& pool) {
  return pool.kernel == Pair(2) && pool.stride == Pair(2) && pool.padding == Pair(0) &&
         pool.dilation == Pair(1) && 2 * pool.out_height <= pool.height &&
         2 * pool.out_width <= pool.width;
}

void matrix_data_grad(const Tensor& dy, const Tensor& weight, const Tensor& bias,
                      const ConvGeometry& geometry, bool accumulate, Tensor& dx) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    conv2d_products::for_each_residue(geometry, [&](int64_t residue_y, int64_t residue_x) {
      auto product = conv2d_products::data_grad(geometry, dy.data<T>(), weight.data<T>(),
                                                dx.mutable_data<T>(), residue_y, residue_x);
      product.out.bias = bias.defined() ? bias.data<Compute<T>>() : nullptr;
      product.out.bias_group_stride = geometry.in_per_group();
      product.out.accumulate = accumulate;
      matrix::run_product(geometry.op, product);
    });
  });
}

void own_data_grad(const Tensor& dy, const Tensor& weight, const Tensor& bias,
                   const ConvGeometry& geometry, Tensor& dx) {
  if (is_depthwise(geometry)) {
    depthwise_data_grad_cuda(dy, weight, bias, geometry, dx);
  } else {
    matrix_data_grad(dy, weight, bias, geometry, false, dx);
  }
}

// Whether dbias was made as well.
bool own_weight_grad(const Tensor& dy, const Tensor& x, const ConvGeometry& geometry,
                     Tensor& dweight, Tensor* dbias) {
  if (is_depthwise(geometry)) {
    depthwise_weight_grad_cuda(dy, x, geometry, dweight);
    return false;
  }
  if (const int64_t channels = channels_in_packs(geometry, x.dtype());
      channels != geometry.in_channels) {
    Tensor wide = Tensor::empty(with_channels(dweight.shape(), channels), dweight.dtype(),
                                dweight.device(), MemoryFormat::ChannelsLast);
    const bool makes_dbias = own_weight_grad(dy, with_channels(geometry.op, x, channels),
                                             with_channels(geometry, channels), wide, dbias);
    move_region(geometry.op, dweight.shape(), wide, region_of(wide), dweight, region_of(dweight),
                WriteMode::Overwrite);
    return makes_dbias;
  }
  bool makes_dbias = false;
  dispatch_floating(dy.dtype(), [&]<class T>() {
    using C = Compute<T>;
    auto product = conv2d_products::weight_grad(geometry, dy.data<T>(), x.data<T>(),
                                                dweight.mutable_data<C>());
    if constexpr (product.has_row_sums) {
      product.out.row_sums = dbias != nullptr ? dbias->mutable_data<C>() : nullptr;
    }
    makes_dbias = matrix::run_product(geometry.op, product);
  });
  return makes_dbias;
}

}  // namespace

void conv2d_forward_cuda(const Tensor& x, const Tensor& weight, const Tensor& bias,
                         const ConvGeometry& geometry, Tensor& y) {
  serve(
      conv2d_product(ProductKind::Conv2d, x.dtype(), geometry),
      [&] { return conv2d_forward_cudnn(x, weight, bias, geometry, y); },
      [&] { own_forward(x, weight, bias, geometry, y); });
}

bool conv2d_pooled_cuda(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvGeometry& geometry, const PoolGeometry& pool, bool with_relu,
                        Tensor& y, Tensor& indices) {
  const Product as_measured = conv2d_product(ProductKind::Conv2d, x.dtype(), geometry);
  if (x.dtype() == float64 || !are_two_by_two(pool) || is_depthwise(geometry) || y.numel() == 0 ||
      geometry.empty() || library_may_serve(as_measured)) {
    return false;
  }
  const int64_t channels = channels_in_packs(geometry, x.dtype());
  const bool widens = channels != geometry.in_channels;
  const bool by_rows = y.memory_format() == MemoryFormat::RowMajor;
  const auto run = [&]<class T>(T*) {
    const auto product_of = [&](const T* images, const T* filters) {
      return conv2d_products::forward_pooled(
          with_channels(geometry, channels), pool, images, filters,
          bias.defined() ? bias.data<Compute<T>>() : nullptr, with_relu, by_rows,
          y.mutable_data<T>(), indices.defined() ? indices.mutable_data<uint8_t>() : nullptr);
    };
    // Copies begin at 16 bytes.
    const T* images = widens ? nullptr : x.data<T>();
    const T* filters = widens ? nullptr : weight.data<T>();
    const matrix::Plan plan = matrix::plan_product(product_of(images, filters), tf32_is_on());
    if (plan.splits > 1) {
      return false;
    }
    const profile::Range range(geometry.op);
    profile::note([&] {
      return profile::moved({&x, &weight, &bias}, {&y, &indices}, geometry.flops());
    });
    Tensor wide_x;
    Tensor wide_weight;
    if (widens) {
      wide_x = with_channels(geometry.op, x, channels);
      wide_weight = with_channels(geometry.op, weight, channels);
      images = wide_x.data<T>();
      filters = wide_weight.data<T>();
    }
    serving_detail::log(as_measured, serving_detail::Event::ByOurs);
    constexpr const char* name = "conv2d_max_pool2d";
    const auto product = product_of(images, filters);
    if (!matrix::tell_product(name, product, plan)) {
      on_cuda::launch_product(name, gpu::current_stream(), product, plan, nullptr);
    }
    return true;
  };
  return x.dtype() == bfloat16 ? run(static_cast<simt::bfloat16*>(nullptr))
                               : run(static_cast<float*>(nullptr));
}

void conv2d_data_grad_cuda(const Tensor& dy, const Tensor& weight, const Tensor& bias,
                           const ConvGeometry& geometry, Tensor& dx) {
  serve(
      conv2d_product(ProductKind::Conv2dDataGrad, dy.dtype(), geometry),
      [&] { return !bias.defined() && conv2d_data_grad_cudnn(dy, weight, geometry, dx); },
      [&] { own_data_grad(dy, weight, bias, geometry, dx); });
}

void conv2d_own_data_grad_cuda(const Tensor& dy, const Tensor& weight, const ConvGeometry& geometry,
                               bool accumulate, Tensor& dx) {
  matrix_data_grad(dy, weight, Tensor(), geometry, accumulate, dx);
  serving_detail::log(conv2d_product(ProductKind::Conv2dDataGrad, dy.dtype(), geometry),
                      serving_detail::Event::ByOurs);
}

bool conv2d_sums_bias_grad_alone_cuda(DType dtype, const ConvGeometry& geometry) {
  return dtype == bfloat16 || (dtype == float32 && tf32_is_on()) || is_depthwise(geometry) ||
         library_may_serve(conv2d_product(ProductKind::Conv2dWeightGrad, dtype, geometry));
}

void conv2d_bias_grad_cuda(const char* op, const Tensor& dy, Tensor& dbias) {
  const int64_t channels = dbias.numel();
  const int64_t pixels = channels == 0 ? 0 : dy.numel() / channels;
  dispatch_floating(dy.dtype(), [&]<class T>() {
    sum_matrix_cuda(op, dy.data<T>(), pixels, channels, true, dbias.mutable_data<Compute<T>>());
  });
}

void conv2d_parameter_grads_cuda(const Tensor& dy, const Tensor& x, const ConvGeometry& geometry,
                                 Tensor* dweight, Tensor* dbias) {
  bool has_dbias = dbias == nullptr;
  if (dweight != nullptr) {
    serve(
        conv2d_product(ProductKind::Conv2dWeightGrad, dy.dtype(), geometry),
        [&] { return conv2d_weight_grad_cudnn(dy, x, geometry, *dweight); },
        [&] { has_dbias = own_weight_grad(dy, x, geometry, *dweight, dbias) || has_dbias; });
  }
  if (!has_dbias) {
    conv2d_bias_grad_cuda(geometry.op, dy, *dbias);
  }
}

}  // namespace warptape
