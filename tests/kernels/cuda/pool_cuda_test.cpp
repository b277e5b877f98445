// Pooling on "cuda" gives what it gives on the CPU, whose values PyTorch's goldens hold: the same
// bits, for ties, NaNs and infinities, too.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "core/check.h"
#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/avg_pool2d/avg_pool2d.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/perceptron.h"

namespace warptape {
namespace {

class PoolCuda : public GpuTest {};

// Many ties, some NaNs, and an image that is -infinity altogether.
Tensor awkward(const Shape& shape, DType dtype) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  manual_seed(5);
  std::vector<double> values = randn(shape, float64).to_vector<double>();
  const size_t image = values.size() / static_cast<size_t>(shape[0]);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = std::round(2 * values[i]) / 2;
    if (i % 37 == 5) {
      values[i] = std::numeric_limits<double>::quiet_NaN();
    } else if (i % 41 == 7 || i < image) {
      values[i] = -infinity;
    }
  }
  const Tensor rows = Tensor::from_vector(values, shape);
  return primitives::cast(primitives::relayout(rows, MemoryFormat::ChannelsLast), dtype);
}

void expect_same_bits(const Tensor& got, const Tensor& wanted) {
  const std::vector<double> a = primitives::cast(got.to(cpu), float64).to_vector<double>();
  const std::vector<double> b = primitives::cast(wanted, float64).to_vector<double>();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_TRUE(a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])))
        << "element " << i << ": got " << a[i] << ", wanted " << b[i];
  }
}

using Op = std::function<Tensor(const Operand&)>;

void check_twins(const Op& op, const Shape& shape, DType dtype) {
  SCOPED_TRACE(fmt::format("{} {}", shape, to_string(dtype)));
  Tensor host = awkward(shape, dtype);
  Tensor device = host.to(cuda);
  Tape host_tape;
  host_tape.watch(host);
  const Tensor host_y = op(host);
  const Tensor dy = randn(host_y.shape(), dtype);
  host_tape.backward(host_y, dy);
  const Tensor host_dx = host_tape.gradient(host);
  Tape device_tape;
  device_tape.watch(device);
  const Tensor device_y = op(device);
  device_tape.backward(device_y, dy.to(cuda));
  expect_same_bits(device_y, host_y);
  expect_same_bits(device_tape.gradient(device), host_dx);
}

// Channels with and without packs; large enough that the last block is not full.
void check_shapes(const Op& op) {
  for (const int64_t channels : {1, 3, 8}) {
    check_twins(op, {2, channels, 9, 11}, float32);
    check_twins(op, {2, channels, 9, 11}, float64);
  }
}

TEST_F(PoolCuda, MaxEqualsTheCpu) {
  for (const MaxPool2dOptions& options : {
           MaxPool2dOptions{},
           MaxPool2dOptions{.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true},
           MaxPool2dOptions{.kernel_size = {2, 3}, .stride = 1, .padding = 1, .dilation = {3, 2}},
           MaxPool2dOptions{.kernel_size = 17, .stride = 3, .padding = 8},
       }) {
    SCOPED_TRACE(options.kernel_size.to_string());
    check_shapes([&](const Operand& x) { return max_pool2d(x, options); });
    check_shapes([&](const Operand& x) { return relu_max_pool2d(x, options); });
  }
}

TEST_F(PoolCuda, AvgEqualsTheCpu) {
  for (const AvgPool2dOptions& options : {
           AvgPool2dOptions{.kernel_size = 3, .ceil_mode = true},
           AvgPool2dOptions{.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true},
           AvgPool2dOptions{
               .kernel_size = 4, .stride = 1, .padding = 2, .count_include_pad = false},
       }) {
    SCOPED_TRACE(options.kernel_size.to_string());
    check_shapes([&](const Operand& x) { return avg_pool2d(x, options); });
  }
}

}  // namespace
}  // namespace warptape
