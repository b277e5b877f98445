#include "core/random.h"

#include <cmath>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/parallel.h"
#include "core/primitives.h"
#include "core/random_cuda.h"

namespace warptape {

namespace {

thread_local RecordedDraws* recording = nullptr;

}  // namespace

RandomStream Generator::next_stream() {
  if (recording != nullptr) [[unlikely]] {
    return recording->next(*this);
  }
  return {seed_, stream_++};
}

RecordedDraws::RecordedDraws(Generator& generator, const uint64_t* state)
    : generator_(generator), state_(state) {
  recording = this;
}

RecordedDraws::~RecordedDraws() {
  recording = nullptr;
}

RandomStream RecordedDraws::next(const Generator& generator) {
  check<DeviceError>(&generator == &generator_,
                     "[Generator] a generator of one's own is drawn from during graph capture, "
                     "wanted the default one");
  return {0, count_++, state_};
}

void check_known_on_host(const RandomStream& stream) {
  check<DeviceError>(stream.on_device == nullptr,
                     "[Generator] the host draws random numbers during graph capture, wanted the "
                     "device to draw them");
}

Generator& default_generator() {
  thread_local Generator generator;
  return generator;
}

void manual_seed(uint64_t seed) {
  default_generator().manual_seed(seed);
}

namespace {

// Fills a row-major tensor with what make(T(0)) makes of a draw's words, where T is the element
// type, and brings it into the format of `tensor`.
template <class Make>
void fill_by_index(Tensor& tensor, const Make& make) {
  Tensor row_major = tensor.memory_format() == MemoryFormat::RowMajor
                         ? tensor
                         : Tensor::empty(tensor.shape(), tensor.dtype(), tensor.device());
  dispatch_floating(tensor.dtype(), [&]<class T>() {
    const auto values = make(T(0));
    const int64_t n = tensor.numel();
    T* to = row_major.mutable_data<T>();
    on_device(
        "random", tensor.device(),
        [&] {
          check_known_on_host(values.stream);
          parallel_for(n, 1024, [&](int64_t begin, int64_t end) {
            PhiloxBlock words{};
            for (int64_t i = begin; i < end; ++i) {
              const auto index = static_cast<uint64_t>(i);
              if (i == begin || index % 4 == 0) {
                words = values.stream.block(index / 4);
              }
              to[i] = values(words, index % 4);
            }
          });
        },
        [&] { random::fill(gpu::current_stream(), to, n, values); });
  });
  if (!row_major.shares_storage_with(tensor)) {
    primitives::copy(row_major, tensor);
  }
}

template <class T>
T next_after(T x, T towards) {
  if constexpr (std::is_same_v<T, simt::bfloat16>) {
    if (x == towards) {
      return towards;
    }
    if (x == 0) {
      return simt::bfloat16::from_bits(towards < 0 ? 0x8001 : 0x0001);
    }
    const bool grows = (x < towards) == (x > 0);
    return simt::bfloat16::from_bits(static_cast<uint16_t>(x.bits + (grows ? 1 : -1)));
  } else {
    return std::nextafter(x, towards);
  }
}

}  // namespace

void fill_normal(Tensor& tensor, double mean, double std, Generator& generator) {
  const RandomStream stream = generator.next_stream();
  fill_by_index(tensor, [&]<class T>(T) { return NormalValues<T>{stream, mean, std}; });
}

void fill_uniform(Tensor& tensor, double low, double high, Generator& generator) {
  const RandomStream stream = generator.next_stream();
  fill_by_index(tensor, [&]<class T>(T) {
    const auto end = static_cast<T>(high);
    return UniformValues<T>{stream, low, high - low, end, next_after(end, static_cast<T>(low))};
  });
}

Tensor randn(const Shape& shape, DType dtype, Generator& generator) {
  return randn(shape, dtype, cpu, generator);
}

Tensor rand(const Shape& shape, DType dtype, Generator& generator) {
  return rand(shape, dtype, cpu, generator);
}

Tensor randn(const Shape& shape, DType dtype, Device device, Generator& generator) {
  Tensor result = Tensor::empty(shape, dtype, device);
  fill_normal(result, 0, 1, generator);
  return result;
}

Tensor rand(const Shape& shape, DType dtype, Device device, Generator& generator) {
  Tensor result = Tensor::empty(shape, dtype, device);
  fill_uniform(result, 0, 1, generator);
  return result;
}

}  // namespace warptape
