#include "core/random.h"

#include <cmath>
#include <numbers>

#include "core/device/on_device.h"
#include "core/parallel.h"
#include "core/primitives.h"

namespace warptape {

Generator& default_generator() {
  thread_local Generator generator;
  return generator;
}

void manual_seed(uint64_t seed) {
  default_generator().manual_seed(seed);
}

namespace {

// Fills a row-major tensor with value(index, T(0)), where T is the element type, and brings it into
// the format of `tensor`.
template <class Value>
void fill_by_index(Tensor& tensor, const Value& value) {
  Tensor row_major = tensor.memory_format() == MemoryFormat::RowMajor
                         ? tensor
                         : Tensor::empty(tensor.shape(), tensor.dtype(), tensor.device());
  dispatch_floating(tensor.dtype(), [&]<class T>() {
    T* to = row_major.mutable_data<T>();
    on_device("random", tensor.device(), [&] {
      parallel_for(tensor.numel(), 1024, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          to[i] = static_cast<T>(value(static_cast<uint64_t>(i), T(0)));
        }
      });
    });
  });
  if (!row_major.shares_storage_with(tensor)) {
    primitives::copy(row_major, tensor);
  }
}

}  // namespace

void fill_normal(Tensor& tensor, double mean, double std, Generator& generator) {
  const RandomStream stream = generator.next_stream();
  fill_by_index(tensor, [&](uint64_t index, auto) {
    // A pair of words gives a pair of normals; u is in (0, 1], so that the logarithm is finite.
    const PhiloxBlock block = stream.block(index / 4);
    const size_t pair = index % 4 / 2 * 2;
    const double u = (block[pair] + 1.0) * 0x1p-32;
    const double angle = 2 * std::numbers::pi * (block[pair + 1] * 0x1p-32);
    const double radius = std::sqrt(-2 * std::log(u));
    return mean + std * radius * (index % 2 == 0 ? std::cos(angle) : std::sin(angle));
  });
}

void fill_uniform(Tensor& tensor, double low, double high, Generator& generator) {
  const RandomStream stream = generator.next_stream();
  fill_by_index(tensor, [&](uint64_t index, auto zero) {
    // Rounding to float must not reach `high`, which is outside of the range.
    using T = decltype(zero);
    const T value = static_cast<T>(low + (high - low) * stream.uniform(index));
    const T end = static_cast<T>(high);
    return value < end ? value : std::nextafter(end, static_cast<T>(low));
  });
}

Tensor randn(const Shape& shape, DType dtype, Generator& generator) {
  Tensor result = Tensor::empty(shape, dtype);
  fill_normal(result, 0, 1, generator);
  return result;
}

Tensor rand(const Shape& shape, DType dtype, Generator& generator) {
  Tensor result = Tensor::empty(shape, dtype);
  fill_uniform(result, 0, 1, generator);
  return result;
}

}  // namespace warptape
