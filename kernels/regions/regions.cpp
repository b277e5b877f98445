#include "kernels/regions/regions.h"

#include <algorithm>

#include "core/device/on_device.h"
#include "core/parallel.h"
#include "core/primitives.h"
#include "core/strided.h"
#include "kernels/regions/regions_kernels.h"

namespace warptape {
namespace {

void move_on_cpu(const StridedLoop<2>& loop, const Tensor& from, const Region& source, Tensor& to,
                 const Region& target, WriteMode mode) {
  dispatch_all(from.dtype(), [&]<class T>() {
    const T* in = from.data<T>() + source.first;
    T* out = to.mutable_data<T>() + target.first;
    const bool accumulate = mode == WriteMode::Accumulate;
    parallel_for(loop.numel(), default_grain, [&](int64_t begin, int64_t end) {
      loop.for_each_run(begin, end, [&](const auto& at, int64_t n, const auto& step) {
        if (!accumulate && step[0] == 1 && step[1] == 1) {
          std::copy_n(in + at[1], n, out + at[0]);
          return;
        }
        for (int64_t i = 0; i < n; ++i) {
          T& element = out[at[0] + i * step[0]];
          const T value = in[at[1] + i * step[1]];
          element = accumulate ? static_cast<T>(element + value) : value;
        }
      });
    });
  });
}

bool is_all_of(const Box& box, const Shape& shape) {
  return box.sizes == shape && std::all_of(box.step.begin(), box.step.begin() + shape.rank(),
                                           [](int64_t step) { return step == 1; });
}

}  // namespace

Box box_of(const Shape& shape) {
  Box box{.sizes = shape};
  box.step.fill(1);
  return box;
}

Region region_of(const Tensor& tensor) {
  return {0, tensor.strides()};
}

Region region_of(const Tensor& tensor, const Box& box) {
  const Strides strides = tensor.strides();
  Region region;
  for (size_t d = 0; d < static_cast<size_t>(tensor.rank()); ++d) {
    region.first += box.begin[d] * strides[d];
    // A step is not taken where there is one element, and may be of any size.
    region.strides[d] = box.sizes[static_cast<int>(d)] > 1 ? box.step[d] * strides[d] : 0;
  }
  return region;
}

void move_region(const char* op, const Shape& sizes, const Tensor& from, const Region& source,
                 Tensor& to, const Region& target, WriteMode mode) {
  if (sizes.numel() == 0) {
    return;
  }
  const MemoryFormat order =
      sizes.rank() == to.rank() ? to.memory_format() : MemoryFormat::RowMajor;
  const auto loop = make_strided_loop<2>(sizes, order, {target.strides, source.strides});
  on_device(
      op, to.device(), [&] { move_on_cpu(loop, from, source, to, target, mode); },
      [&] { move_region_cuda(loop, from, source, to, target, mode); });
}

void place_region(const char* op, const Tensor& from, const Region& source, Tensor& to,
                  const Box& box, double value) {
  const Region target = region_of(to, box);
  if (is_all_of(box, to.shape())) {
    move_region(op, box.sizes, from, source, to, target, WriteMode::Overwrite);
  } else if (box.sizes.numel() == 0) {
    primitives::fill(to, value);
  } else {
    on_device(
        op, to.device(),
        [&] {
          primitives::fill(to, value);
          move_region(op, box.sizes, from, source, to, target, WriteMode::Overwrite);
        },
        [&] { place_region_cuda(from, source, to, box, value); });
  }
}

void give_back_region(const char* op, const Tensor& dy, const Region& source, GradientTarget dx,
                      const Box& box) {
  if (dx.mode == WriteMode::Accumulate) {
    move_region(op, box.sizes, dy, source, dx.buffer, region_of(dx.buffer, box), dx.mode);
  } else {
    place_region(op, dy, source, dx.buffer, box, 0);
  }
}

LinearMap moving(const char* op, const Shape& from, const Box& source, const Shape& to,
                 const Box& target) {
  const auto moved = [op](const Box& out, const Shape& shape, const Box& in) {
    return [=](const Tensor& x) {
      Tensor y = Tensor::empty(shape, x.dtype(), x.device(), x.memory_format());
      place_region(op, x, region_of(x, out), y, in, 0);
      return y;
    };
  };
  return {op, moved(source, to, target), moved(target, from, source)};
}

}  // namespace warptape
