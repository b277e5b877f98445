#pragma once
// Convolutions of small whole numbers on the device: sums are exact in float32 whatever their
// order.

#include <random>
#include <string>
#include <vector>

#include "core/device/gpu.h"
#include "core/simt/bfloat16.h"
#include "kernels/conv2d/conv2d_kernels.h"
#include "tests/support/naive.h"

namespace warptape {

// Device memory of any element type, which Tensor does not have for bfloat16.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(int64_t count)
      : count_(count),
        bytes_(Tensor::empty({count * static_cast<int64_t>(sizeof(T))}, uint8,
                             Device{DeviceType::CUDA})) {}
  explicit DeviceArray(const std::vector<T>& values)
      : DeviceArray(static_cast<int64_t>(values.size())) {
    gpu::copy_from_host(data(), values.data(), values.size() * sizeof(T), gpu::current_stream());
  }
  T* data() { return reinterpret_cast<T*>(bytes_.mutable_data<uint8_t>()); }
  std::vector<double> values() {
    std::vector<T> host(static_cast<size_t>(count_));
    gpu::copy_to_host(host.data(), data(), host.size() * sizeof(T), gpu::current_stream());
    std::vector<double> result;
    for (const T& value : host) {
      if constexpr (std::is_same_v<T, simt::bfloat16>) {
        result.push_back(static_cast<float>(value));
      } else {
        result.push_back(value);
      }
    }
    return result;
  }

 private:
  int64_t count_;
  Tensor bytes_;
};

class WholeNumbers {
 public:
  explicit WholeNumbers(unsigned seed) : random_(seed) {}
  int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  template <class T>
  std::vector<T> make(int64_t count) {
    std::vector<T> values;
    for (int64_t i = 0; i < count; ++i) {
      values.push_back(static_cast<T>(static_cast<float>(between(-2, 2))));
    }
    return values;
  }

 private:
  std::mt19937 random_;
};

inline cuda::NaiveConv naive_of(const ConvGeometry& g) {
  const auto n = [](int64_t value) { return static_cast<int>(value); };
  const Conv2dOptions& o = g.options;
  return {n(g.batch),         n(g.height),          n(g.width),          n(g.in_channels),
          n(g.out_height),    n(g.out_width),       n(g.out_channels),   n(g.kernel_height),
          n(g.kernel_width),  n(o.stride.height),   n(o.stride.width),   n(o.padding.height),
          n(o.padding.width), n(o.dilation.height), n(o.dilation.width), n(o.groups)};
}

struct ConvCase {
  int64_t batch, channels, height, width, out_channels;
  Pair kernel = 3;
  Conv2dOptions options{};

  ConvGeometry geometry() const {
    const auto size = [](int64_t in, int64_t k, int64_t s, int64_t p, int64_t d) {
      return (in + 2 * p - d * (k - 1) - 1) / s + 1;
    };
    const Conv2dOptions& o = options;
    return {batch,
            channels,
            height,
            width,
            out_channels,
            kernel.height,
            kernel.width,
            size(height, kernel.height, o.stride.height, o.padding.height, o.dilation.height),
            size(width, kernel.width, o.stride.width, o.padding.width, o.dilation.width),
            options};
  }
  bool fits() const {
    const ConvGeometry g = geometry();
    const Conv2dOptions& o = options;
    return height + 2 * o.padding.height >= o.dilation.height * (kernel.height - 1) + 1 &&
           width + 2 * o.padding.width >= o.dilation.width * (kernel.width - 1) + 1 &&
           g.out_height > 0 && g.out_width > 0;
  }
  std::string to_string() const {
    return fmt::format(
        "x ({}, {}, {}, {}), filters ({}, {}, {}), stride {}, padding {}, dilation "
        "{}, groups {}",
        batch, channels, height, width, out_channels, kernel.height, kernel.width,
        options.stride.to_string(), options.padding.to_string(), options.dilation.to_string(),
        options.groups);
  }
};

}  // namespace warptape
