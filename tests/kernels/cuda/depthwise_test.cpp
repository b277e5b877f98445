// Depthwise kernels against the naive convolution.

#include <gtest/gtest.h>

#include "kernels/conv2d/depthwise.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/cuda/whole_numbers.h"

namespace warptape {
namespace {

class Depthwise : public GpuTest {};

// (O, taps) -> (taps, O).
template <class T>
std::vector<T> taps_first(const std::vector<T>& filters, size_t outputs) {
  const size_t taps = filters.size() / outputs;
  std::vector<T> result(filters.size());
  for (size_t i = 0; i < filters.size(); ++i) {
    result[i % taps * outputs + i / taps] = filters[i];
  }
  return result;
}

template <class T>
void check_depthwise(const ConvCase& test) {
  SCOPED_TRACE(test.to_string());
  ASSERT_TRUE(test.fits());
  const ConvGeometry shape = test.geometry();
  const on_cuda::NaiveConv n = naive_of(shape);
  const on_cuda::DepthwiseGeometry g{n.batch,
                                     n.height,
                                     n.width,
                                     n.in_channels,
                                     n.out_height,
                                     n.out_width,
                                     n.out_channels / n.in_channels,
                                     n.kernel_height,
                                     n.kernel_width,
                                     n.stride_y,
                                     n.stride_x,
                                     n.padding_y,
                                     n.padding_x,
                                     n.dilation_y,
                                     n.dilation_x};
  gpu::StreamHandle stream = gpu::current_stream();
  const int64_t size_x = int64_t{n.batch} * n.height * n.width * n.in_channels;
  const int64_t size_y = int64_t{n.batch} * n.out_height * n.out_width * n.out_channels;
  const int64_t size_w = int64_t{n.out_channels} * n.kernel_height * n.kernel_width;
  WholeNumbers numbers(5);
  const auto host_filters = numbers.make<T>(size_w);
  DeviceArray<T> filters(host_filters);
  DeviceArray<T> by_tap(taps_first(host_filters, static_cast<size_t>(n.out_channels)));
  DeviceArray<T> x(numbers.make<T>(size_x));
  DeviceArray<T> dy(numbers.make<T>(size_y));
  const auto host_bias = numbers.make<T>(n.out_channels);
  DeviceArray<T> bias(host_bias);

  DeviceArray<T> y(size_y);
  DeviceArray<T> wanted_y(size_y);
  on_cuda::depthwise_forward(
      stream, on_cuda::plan_depthwise_forward<T>(g, x.data(), by_tap.data(), bias.data(), y.data()),
      g, x.data(), by_tap.data(), bias.data(), y.data());
  on_cuda::naive_conv_forward(stream, n, x.data(), filters.data(), wanted_y.data());
  std::vector<double> expected = wanted_y.values();
  for (size_t i = 0; i < expected.size(); ++i) {
    expected[i] += host_bias[i % host_bias.size()];
  }
  EXPECT_EQ(y.values(), expected);

  DeviceArray<T> dx(size_x);
  DeviceArray<T> wanted_dx(size_x);
  on_cuda::depthwise_data_grad(
      stream, on_cuda::plan_depthwise_data_grad<T>(g, dy.data(), by_tap.data(), nullptr, dx.data()),
      g, dy.data(), by_tap.data(), nullptr, dx.data());
  on_cuda::naive_conv_data_grad(stream, n, dy.data(), filters.data(), wanted_dx.data());
  EXPECT_EQ(dx.values(), wanted_dx.values());

  DeviceArray<T> dfilters(size_w);
  DeviceArray<T> wanted_dfilters(size_w);
  const auto plan = on_cuda::plan_depthwise_weight_grad<T>(g, dy.data(), x.data());
  DeviceArray<T> partials(plan.chunks * size_w);
  on_cuda::depthwise_weight_grad(stream, plan, g, dy.data(), x.data(), partials.data(),
                                 dfilters.data());
  on_cuda::naive_conv_weight_grad(stream, n, dy.data(), x.data(), wanted_dfilters.data());
  EXPECT_EQ(dfilters.values(), wanted_dfilters.values());
}

void check_both(const ConvCase& test) {
  check_depthwise<float>(test);
  check_depthwise<double>(test);
}

TEST_F(Depthwise, EqualsTheNaiveConvolution) {
  check_both({2, 8, 5, 6, 8, 3, {.padding = 1, .groups = 8}});
  check_both({1, 7, 6, 5, 7, {2, 3}, {.stride = 2, .padding = 1, .groups = 7}});
  check_both({1, 3, 9, 8, 9, 3, {.stride = {1, 2}, .padding = 2, .dilation = 2, .groups = 3}});
  check_both({1, 130, 3, 4, 130, 3, {.padding = 1, .groups = 130}});  // many tiles of channels
  check_both({1, 132, 3, 3, 132, 1, {.groups = 132}});
  check_both({3, 4, 20, 19, 4, 3, {.padding = 1, .groups = 4}});  // several chunks of pixels
  // Packs would fit the channels, but not two outputs of one.
  check_both({2, 4, 5, 6, 8, 3, {.padding = 1, .groups = 4}});
  check_both({1, 4, 5, 4, 4, 3, {.padding = Sides2d{.bottom = 2, .left = 1}, .groups = 4}});
  check_both({1, 8, 4, 5, 24, 3, {.stride = 2, .padding = 1, .groups = 8}});
}

}  // namespace
}  // namespace warptape
