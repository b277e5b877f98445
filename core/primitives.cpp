#include "core/primitives.h"

#include <bit>
#include <cmath>

#include "core/cast_into.h"
#include "core/check.h"
#include "core/clones.h"
#include "core/device/on_device.h"
#include "core/parallel.h"
#include "core/primitives_cuda.h"
#include "core/profile_work.h"
#include "core/strided.h"

namespace warptape::primitives {
namespace {

// Over two tensors of one shape, in the memory order of `to`, which is operand 0.
StridedLoop<2> pair_loop(const Tensor& from, const Tensor& to) {
  return make_strided_loop<2>(to.shape(), to.memory_format(), {to.strides(), from.strides()});
}

// Calls body(to index, to step, from index, from step, n) for runs of n elements.
template <class Body>
void zip(const StridedLoop<2>& loop, const Body& body) {
  parallel_for(loop.numel(), default_grain, [&](int64_t begin, int64_t end) {
    loop.for_each_run(begin, end, [&](const auto& offsets, int64_t n, const auto& steps) {
      body(offsets[0], steps[0], offsets[1], steps[1], n);
    });
  });
}

void check_same(const char* op, const Tensor& from, const Tensor& to) {
  check<ShapeError>(from.shape() == to.shape(), "[{}] shapes: got {} and {}, wanted equal ones", op,
                    from.shape(), to.shape());
  check<DTypeError>(from.dtype() == to.dtype(), "[{}] dtypes: got {} and {}, wanted equal ones", op,
                    to_string(from.dtype()), to_string(to.dtype()));
  check<DeviceError>(from.device() == to.device(),
                     "[{}] devices: got {} and {}, wanted one (Tensor::to copies between devices)",
                     op, to_string(from.device()), to_string(to.device()));
}

}  // namespace

void fill(Tensor& tensor, double value) {
  const profile::Range range("fill");
  profile::note([&] { return profile::moved({}, {&tensor}); });
  dispatch_all(tensor.dtype(), [&]<class T>() {
    T* to = tensor.mutable_data<T>();
    const T element = static_cast<T>(value);
    on_device(
        "fill", tensor.device(),
        [&] {
          parallel_for(tensor.numel(), default_grain, [&](int64_t begin, int64_t end) {
            std::fill(to + begin, to + end, element);
          });
        },
        [&] { on_cuda::fill(gpu::current_stream(), to, tensor.numel(), element); });
  });
}

void copy(const Tensor& from, Tensor& to) {
  check_same("copy", from, to);
  const profile::Range range("copy");
  profile::note([&] { return profile::moved({&from}, {&to}); });
  dispatch_all(from.dtype(), [&]<class T>() {
    const T* source = from.data<T>();
    T* target = to.mutable_data<T>();
    const StridedLoop<2> loop = pair_loop(from, to);
    on_device(
        "copy", to.device(),
        [&] {
          zip(loop, [&](int64_t t, int64_t t_step, int64_t f, int64_t f_step, int64_t n) {
            if (t_step == 1 && f_step == 1) {
              std::copy_n(source + f, n, target + t);
              return;
            }
            for (int64_t i = 0; i < n; ++i) {
              target[t + i * t_step] = source[f + i * f_step];
            }
          });
        },
        [&] { on_cuda::copy(gpu::current_stream(), loop, target, source); });
  });
}

void add(const Tensor& from, Tensor& to) {
  check_same("add", from, to);
  const profile::Range range("accumulate");
  profile::note([&] { return profile::moved({&from, &to}, {&to}); });
  dispatch_floating(from.dtype(), [&]<class T>() {
    const T* source = from.data<T>();
    T* target = to.mutable_data<T>();
    const StridedLoop<2> loop = pair_loop(from, to);
    on_device(
        "add", to.device(),
        [&] {
          zip(loop, [&](int64_t t, int64_t t_step, int64_t f, int64_t f_step, int64_t n) {
            for (int64_t i = 0; i < n; ++i) {
              T& sum = target[t + i * t_step];
              sum = written(true, sum, source[f + i * f_step]);
            }
          });
        },
        [&] { on_cuda::add(gpu::current_stream(), loop, target, source); });
  });
}

Tensor relabelled(const Tensor& tensor, MemoryFormat format) {
  const Shape& shape = tensor.shape();
  const bool is_alike =
      shape.rank() >= 3 && (shape[1] == 1 || shape.numel() == shape[0] * shape[1]);
  Tensor same = is_alike ? tensor.read_as(shape, format) : tensor;
  same.cut_from(tensor, "primitives::relabelled");
  return same;
}

Tensor relayout(const Tensor& tensor, MemoryFormat format) {
  if (Tensor same = relabelled(tensor, format);
      same.memory_format() == normalized(format, tensor.rank())) {
    same.cut_from(tensor, "primitives::relayout");
    return same;
  }
  Tensor result = Tensor::empty(tensor.shape(), tensor.dtype(), tensor.device(), format);
  copy(tensor, result);
  result.cut_from(tensor, "primitives::relayout");
  return result;
}

namespace {

template <class To, class From>
void convert(const From* from, int64_t count, To* to) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] = static_cast<To>(from[i]);
  }
}

// Those of mixed precision once per instruction set; overload resolution prefers these.
WARPTAPE_CLONES void convert(const float* __restrict from, int64_t count,
                             simt::bfloat16* __restrict to) {
  for (int64_t i = 0; i < count; ++i) {
    const auto wide = std::bit_cast<uint32_t>(from[i]);
    const uint32_t rounded = (wide + 0x7FFFU + ((wide >> 16) & 1U)) >> 16;
    const bool is_nan = (wide & 0x7FFFFFFFU) > 0x7F800000U;  // as simt::bfloat16's constructor
    to[i].bits = static_cast<uint16_t>(is_nan ? 0x7FFFU : rounded);
  }
}
WARPTAPE_CLONES void convert(const simt::bfloat16* __restrict from, int64_t count,
                             float* __restrict to) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] = std::bit_cast<float>(static_cast<uint32_t>(from[i].bits) << 16);
  }
}

void run_cast(const Tensor& tensor, Tensor& result) {
  profile::note([&] { return profile::moved({&tensor}, {&result}); });
  dispatch_all(tensor.dtype(), [&]<class From>() {
    dispatch_all(result.dtype(), [&]<class To>() {
      const From* source = tensor.data<From>();
      To* target = result.mutable_data<To>();
      on_device(
          "cast", tensor.device(),
          [&] {
            parallel_for(tensor.numel(), default_grain, [&](int64_t begin, int64_t end) {
              convert(source + begin, end - begin, target + begin);
            });
          },
          [&] {
            on_cuda::CastTo<To>::from(gpu::current_stream(), target, source, tensor.numel());
          });
    });
  });
}

}  // namespace

void cast_into(const Tensor& tensor, Tensor& result) {
  const profile::Range range("cast");
  run_cast(tensor, result);
}

Tensor cast(const Tensor& tensor, DType dtype) {
  if (tensor.dtype() == dtype) {
    Tensor same = tensor;
    same.cut_from(tensor, "primitives::cast");
    return same;
  }
  const profile::Range range("cast");
  Tensor result = Tensor::empty(tensor.shape(), dtype, tensor.device(), tensor.memory_format());
  run_cast(tensor, result);
  result.cut_from(tensor, "primitives::cast");
  return result;
}

bool all_finite(const Tensor& tensor) {
  bool finite = true;
  dispatch_floating(tensor.dtype(), [&]<class T>() {
    const T* values = tensor.data<T>();
    on_device(
        "all_finite", tensor.device(),
        [&] {
          for (int64_t i = 0; i < tensor.numel(); ++i) {
            finite = finite && std::isfinite(static_cast<Compute<T>>(values[i]));
          }
        },
        [&] {
          const auto flag = Storage::allocate(sizeof(int), tensor.device());
          const gpu::StreamHandle stream = gpu::current_stream();
          gpu::fill_bytes(flag->data(), 0, sizeof(int), stream);
          on_cuda::find_not_finite(stream, values, tensor.numel(), static_cast<int*>(flag->data()));
          int found = 0;
          gpu::copy_to_host(&found, flag->data(), sizeof found, stream);
          finite = found == 0;
        });
  });
  return finite;
}

}  // namespace warptape::primitives
