#pragma once
// Convolutions of small whole numbers on the device: sums are exact in float32 whatever their
// order.

#include <fmt/format.h>
#include <random>
#include <string>
#include <vector>

#include "core/device/gpu.h"
#include "core/simt/bfloat16.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_kernels.h"
#include "tests/support/naive.h"

namespace warptape {

// Device memory of any element type, which Tensor does not have for bfloat16.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(int64_t count)
      : count_(count),
        bytes_(Tensor::empty({count * static_cast<int64_t>(sizeof(T))}, uint8, cuda)) {}
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

inline on_cuda::NaiveConv naive_of(const ConvGeometry& g) {
  const auto n = [](int64_t value) { return static_cast<int>(value); };
  const WindowAxis& y = g.vertical();
  const WindowAxis& x = g.horizontal();
  return {n(g.batch),  n(y.size),           n(x.size),           n(g.in_channels), n(y.out),
          n(x.out),    n(g.out_channels),   n(y.kernel),         n(x.kernel),      n(y.stride),
          n(x.stride), n(y.padding_before), n(x.padding_before), n(y.dilation),    n(x.dilation),
          n(g.groups)};
}

struct ConvCase {
  int64_t batch, channels, height, width, out_channels;
  Pair kernel = 3;
  Conv2dOptions options{};

  ConvGeometry geometry() const {
    return conv_geometry(
        "conv2d", Shape{batch, channels, height, width},
        Shape{out_channels, channels / options.groups, kernel.height, kernel.width}, options.axes(),
        options.groups);
  }
  bool fits() const {
    try {
      geometry();
    } catch (const ShapeError&) {
      return false;
    }
    return true;
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
