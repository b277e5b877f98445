#include "kernels/max_pool2d/max_pool2d.h"

#include <algorithm>

#include "core/deferred.h"
#include "core/device/on_device.h"
#include "core/linear_map.h"
#include "core/primitives.h"
#include "core/profile_work.h"
#include "core/tape.h"
#include "kernels/geometry/give_viewed.h"
#include "kernels/max_pool2d/max_pool.h"
#include "kernels/max_pool2d/max_pool2d_kernels.h"
#include "kernels/pad/pad.h"
#include "kernels/pointwise/unary.h"
#include "kernels/pool/poolable.h"
#include "kernels/slice/slice.h"
#include "kernels/where/where.h"

namespace warptape {

DType pool_index_dtype(const PoolGeometry& geometry) {
  return geometry.kernel.height * geometry.kernel.width < 256 ? uint8 : int64;
}

namespace {

constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

Tensor pooled(const Operand& x, const PoolGeometry& geometry, bool with_relu, MemoryFormat format);

class PoolWork final : public Deferred {
 public:
  PoolWork(const Operand& x, const PoolGeometry& geometry, bool with_relu, MemoryFormat format,
           bool keeps_indices)
      : x_(x),
        geometry_(geometry),
        with_relu_(with_relu),
        format_(format),
        keeps_indices_(keeps_indices) {}

  Tensor compute() override {
    const profile::Range range(geometry_.op);
    const Shape image = pooled_image(geometry_);
    Tensor y = Tensor::empty(image, x_.dtype(), x_.device(), format_);
    Tensor indices;
    if (keeps_indices_) {
      indices = Tensor::empty(image, pool_index_dtype(geometry_), x_.device(), channels_last);
    }
    const auto given = Deferred::of<PoolableWork>(x_);
    const bool with_it =
        given != nullptr && given->compute_pooled(geometry_, with_relu_, y, indices);
    if (!with_it) {
      const Tensor pixels =
          primitives::relayout(x_.tensor().detach().view(pool_image(geometry_)), channels_last);
      profile::note([&] { return profile::moved({&pixels}, {&y, &indices}); });
      on_device(
          geometry_.op, x_.device(),
          [&] { max_pool2d_forward_cpu(pixels, geometry_, with_relu_, y, indices); },
          [&] { max_pool2d_forward_cuda(pixels, geometry_, with_relu_, y, indices); });
    }
    if (keeps_indices_) {
      *kept = Saved(indices);
    }
    return y.view(pooled_shape(geometry_));
  }

  Tensor in_format(MemoryFormat format) override {
    return pooled(x_, geometry_, with_relu_, format);
  }

  const std::shared_ptr<Saved> kept = std::make_shared<Saved>();  // the indices

 private:
  const Operand x_;
  const PoolGeometry geometry_;
  const bool with_relu_;
  const MemoryFormat format_;
  const bool keeps_indices_;
};

// The gradient of an image, in the shape that kernels see.
Tensor spread(const Tensor& of_y, const PoolGeometry& geometry, const Tensor& indices) {
  const Tensor dy = of_y.view(pooled_image(geometry));
  Tensor dx = Tensor::empty(pool_image(geometry), dy.dtype(), dy.device(), channels_last);
  on_device(
      geometry.op, dy.device(), [&] { max_pool2d_backward_cpu(dy, indices, geometry, dx); },
      [&] { max_pool2d_backward_cuda(dy, indices, geometry, dx); });
  return dx;
}

void backward(Backward& context, const PoolGeometry& geometry, const Tensor& indices,
              GradientSums* wanted) {
  if (!context.needs(0)) {
    return;
  }
  const Tensor dy = context.grad().view(pooled_image(geometry));
  Tensor dx = Tensor::empty(pool_image(geometry), dy.dtype(), dy.device(), channels_last);
  profile::note([&] { return profile::moved({&dy, &indices}, {&dx}); });
  Tensor sums = wanted != nullptr ? wanted->place(compute_dtype(dy.dtype())) : Tensor();
  bool has_sums = false;
  on_device(
      geometry.op, dy.device(), [&] { max_pool2d_backward_cpu(dy, indices, geometry, dx); },
      [&] {
        has_sums =
            sums.defined() && max_pool2d_backward_summed_cuda(dy, indices, geometry, dx, sums);
        if (!has_sums) {
          max_pool2d_backward_cuda(dy, indices, geometry, dx);
        }
      });
  if (has_sums) {
    wanted->were_made(dx, sums);
  }
  give_viewed(context, 0, dx, pool_shape(geometry));
}

// The elements at the indices, 0 where there is none: tap by tap, those of all windows together.
Tensor taken(const Tensor& x, const PoolGeometry& geometry, const Tensor& indices) {
  const Tensor image = x.view(pool_image(geometry));
  const PoolAxis rows = geometry.vertical();
  const PoolAxis columns = geometry.horizontal();
  // So that all taps of all windows lie in it, as those of ceil_mode need not.
  const auto behind = [](const PoolAxis& axis) {
    const int64_t last = axis.first_element(axis.out_size - 1) + axis.dilation * (axis.kernel - 1);
    return std::max<int64_t>(last - axis.size + 1, 0);
  };
  const Tensor padded = pad(image, {columns.padding, behind(columns), rows.padding, behind(rows)});
  const auto windows = [](const Tensor& from, int dim, const PoolAxis& axis, int tap) {
    const int64_t first = int64_t{tap} * axis.dilation;
    const int64_t end = first + int64_t{axis.out_size - 1} * axis.stride + 1;
    return slice(from, dim, first, end, axis.stride);
  };
  Tensor result = Tensor::zeros(pooled_image(geometry), x.dtype(), x.device());
  for (int row = 0; row < rows.kernel; ++row) {
    const Tensor lines = windows(padded, 2, rows, row);
    for (int column = 0; column < columns.kernel; ++column) {
      const Tensor own = indices == static_cast<double>(row * columns.kernel + column);
      result = where(own, windows(lines, 3, columns, column), result);
    }
  }
  return result.view(pooled_shape(geometry));
}

// With the indices that were found.
LinearMap taking_largest(const PoolGeometry& geometry, const Tensor& indices) {
  return {
      geometry.op, [=](const Tensor& x) { return taken(x, geometry, indices); },
      [=](const Tensor& dy) { return spread(dy, geometry, indices).view(pool_shape(geometry)); }};
}

Tensor pooled(const Operand& x, const PoolGeometry& geometry, bool with_relu, MemoryFormat format) {
  Tape* const tape = Tape::recording({&x});
  const auto work = std::make_shared<PoolWork>(x, geometry, with_relu, format, tape != nullptr);
  const Deferred::Promise promise{pooled_shape(geometry), x.dtype(), x.device(), format};
  const auto given = Deferred::of<PoolableWork>(x);
  return Deferred::result(work, promise, [&](Tensor& y) {
    if (tape != nullptr) {
      tape->record(
          geometry.op, {&x}, {&y},
          [indices = work->kept, geometry,
           sums = given != nullptr ? given->gradient_sums : nullptr](Backward& context) {
            if (context.creates_graph()) {
              give_transposed(context, taking_largest(geometry, indices->get()));
            } else {
              backward(context, geometry, indices->get(), sums.get());
            }
          },
          Differentiable::Twice);
    }
  });
}

}  // namespace

Tensor max_pool(const Operand& x, const PoolGeometry& geometry, Activation activation) {
  const auto is_relu = [](const UnaryWork& work) { return work.is_relu(); };
  if (const auto relu = Deferred::take<UnaryWork>(x, is_relu)) {
    return pooled(relu->x, geometry, true, channels_last);
  }
  Deferred::take<PoolableWork>(x, [](const PoolableWork&) { return true; });
  return pooled(x, geometry, activation == Activation::ReLU, channels_last);
}

Tensor max_pool2d(const Operand& x, MaxPool2dOptions options) {
  return max_pool(x,
                  make_pool_geometry("max_pool2d", x, options.kernel_size, options.stride,
                                     options.padding, options.dilation, options.ceil_mode),
                  options.activation);
}

}  // namespace warptape
