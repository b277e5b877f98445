// Convolutions on cuDNN against those of the CPU.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/primitives.h"
#include "core/random.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_kernels.h"
#include "kernels/vendor/gpu_libraries.h"
#include "tests/core/device/gpu_test.h"

namespace warptape {
namespace {

constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

class Conv2dCudnn : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (!cudnn_library().reason.empty()) {
      GTEST_SKIP() << "cuDNN: " << cudnn_library().reason;
    }
    if (gpu_libraries() == GpuLibraries::Off) {
      GTEST_SKIP() << "switched off";
    }
    manual_seed(1);
  }
};

struct Case {
  const char* name;
  int64_t batch, in, size, out, kernel;
  Conv2dOptions options;
  bool must_be_taken = false;  // forward and the gradient of the weight, in float32
};

const Case cases[] = {
    {"conv1", 8, 3, 32, 64, 3, {.padding = 1}, true},
    {"conv2", 8, 64, 16, 128, 3, {.padding = 1}, true},
    {"1x1", 4, 32, 9, 16, 1, {}},
    {"5x5", 2, 8, 12, 12, 5, {.padding = 2}},
    {"stride", 4, 16, 15, 32, 3, {.stride = 2, .padding = 1}},
    {"dilation", 2, 8, 14, 16, 3, {.padding = 2, .dilation = 2}},
    {"groups", 2, 16, 10, 32, 3, {.padding = 1, .groups = 2}},
    {"odd", 3, 5, 7, 9, 3, {}},
};

ConvGeometry geometry_of(const Case& c) {
  return conv_geometry("conv2d", Shape{c.batch, c.in, c.size, c.size},
                       Shape{c.out, c.in / c.options.groups, c.kernel, c.kernel}, c.options.axes(),
                       c.options.groups);
}

Tensor filled_with_nan(const Tensor& like) {
  return primitives::relayout(Tensor::full(like.shape(), NAN), channels_last).to(cuda);
}

Tensor images(const Shape& shape) {
  return primitives::relayout(randn(shape), channels_last);
}

// All three passes of a convolution in float64 on the CPU.
struct Passes {
  Tensor y, y_without_bias, dx, dweight;
  Passes(const ConvGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias,
         const Tensor& dy)
      : y(Tensor::empty_like(dy)),
        y_without_bias(Tensor::empty_like(dy)),
        dx(Tensor::empty_like(x)),
        dweight(Tensor::empty_like(weight)) {
    conv2d_forward_cpu(x, weight, bias, g, y);
    conv2d_forward_cpu(x, weight, {}, g, y_without_bias);
    conv2d_data_grad_cpu(dy, weight, {}, g, dx);
    conv2d_weight_grad_cpu(dy, x, g, dweight);
  }
};

Tensor in_float64(const Tensor& tensor, double (*f)(double)) {
  std::vector<double> values = primitives::cast(tensor, float64).to_vector<double>();
  for (double& value : values) {
    value = f(value);
  }
  return primitives::relayout(warptape::tensor(values, tensor.shape()), tensor.memory_format());
}

double same(double value) {
  return value;
}
double square(double value) {
  return value * value;
}

// How far a result may be from the exact one, by its terms.
struct Bound {
  bool tf32;
  // The sum of `terms` products in float32, in any order, is off by sqrt(terms) roundings of the
  // sum of their sizes: with near certainty, as signs are random. TF32 rounds both factors to a
  // relative 2^-10, independently: six standard deviations of that, by the sum of squares.
  double at(double terms, double sizes, double squares) const {
    const double sum = std::sqrt(terms) * std::ldexp(1.0, -24) * sizes;
    return sum + (tf32 ? 6 * std::ldexp(1.0, -10) * std::sqrt(squares) : 0);
  }
};

void expect_within(const Tensor& got, const Tensor& wanted, const Tensor& sizes,
                   const Tensor& squares, double terms, const Bound& bound) {
  const std::vector<float> a = got.to(cpu).to_vector<float>();
  const std::vector<double> b = wanted.to_vector<double>();
  const std::vector<double> size = sizes.to_vector<double>();
  const std::vector<double> sum_of_squares = squares.to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_LE(std::abs(a[i] - b[i]), bound.at(terms, size[i], sum_of_squares[i]))
        << "element " << i << " of " << terms << " terms: " << a[i] << ", wanted " << b[i];
  }
}

void all_passes(const Case& c, const Bound& bound) {
  const ConvGeometry g = geometry_of(c);
  const Tensor x = images(g.x_shape());
  const Tensor weight = randn(g.filter_shape());
  const Tensor bias = randn({g.out_channels});
  const Tensor dy = images(g.y_shape());
  const auto passes = [&](double (*f)(double)) {
    return Passes(g, in_float64(x, f), in_float64(weight, f), in_float64(bias, f),
                  in_float64(dy, f));
  };
  const Passes exact = passes(same);
  const Passes sizes = passes(std::abs);
  const Passes squares = passes(square);
  const Tensor x_cuda = x.to(cuda);
  const Tensor weight_cuda = primitives::relayout(weight, channels_last).to(cuda);
  const Tensor bias_cuda = bias.to(cuda);
  const Tensor dy_cuda = dy.to(cuda);
  // Twice: the second time with the plan that was kept, and it must give the same bits.
  const auto check_pass = [&](const char* pass, bool must_be_taken, Tensor Passes::*of,
                              int64_t terms, const auto& run) {
    SCOPED_TRACE(fmt::format("{} {}", c.name, pass));
    const Tensor& wanted = exact.*of;
    Tensor first = filled_with_nan(wanted);
    if (!run(first)) {
      EXPECT_FALSE(must_be_taken);
      std::printf("  %s %s: not taken\n", c.name, pass);
      return;
    }
    Tensor second = filled_with_nan(wanted);
    EXPECT_TRUE(run(second));
    expect_within(first, wanted, sizes.*of, squares.*of, static_cast<double>(terms), bound);
    EXPECT_EQ(first.to(cpu).to_vector<float>(), second.to(cpu).to_vector<float>());
  };

  const int64_t filter = c.kernel * c.kernel * g.in_per_group();
  check_pass("forward", c.must_be_taken, &Passes::y, filter + 1, [&](Tensor& to) {
    return conv2d_forward_cudnn(x_cuda, weight_cuda, bias_cuda, g, to);
  });
  check_pass("forward without bias", c.must_be_taken, &Passes::y_without_bias, filter,
             [&](Tensor& to) { return conv2d_forward_cudnn(x_cuda, weight_cuda, {}, g, to); });
  check_pass("data gradient", false, &Passes::dx, c.kernel * c.kernel * g.out_per_group(),
             [&](Tensor& to) { return conv2d_data_grad_cudnn(dy_cuda, weight_cuda, g, to); });
  check_pass("weight gradient", c.must_be_taken, &Passes::dweight, g.batch * g.out_pixels(),
             [&](Tensor& to) { return conv2d_weight_grad_cudnn(dy_cuda, x_cuda, g, to); });
}

TEST_F(Conv2dCudnn, Float32) {
  for (const Case& c : cases) {
    all_passes(c, {.tf32 = false});
  }
}

TEST_F(Conv2dCudnn, Tf32) {
  set_tf32(true);
  for (const Case& c : cases) {
    all_passes(c, {.tf32 = true});
  }
  set_tf32(false);
}

TEST_F(Conv2dCudnn, OtherDtypesAndUnalignedTensorsAreNotTaken) {
  const Case c{"", 2, 4, 5, 4, 3, {.padding = 1}};
  const ConvGeometry g = geometry_of(c);
  const Tensor x = images({2, 4, 5, 5});
  const Tensor weight = primitives::relayout(randn({4, 4, 3, 3}), channels_last);
  Tensor y = Tensor::empty_like(x).to(cuda);
  EXPECT_FALSE(
      conv2d_forward_cudnn(primitives::cast(x, float64).to(cuda), weight.to(cuda), {}, g, y));
  const Tensor bias = randn({5}).to(cuda).slice(1, 5);
  EXPECT_FALSE(conv2d_forward_cudnn(x.to(cuda), weight.to(cuda), bias, g, y));
}

TEST_F(Conv2dCudnn, RunsInACaptureOnceThePlanIsThere) {
  const Case c{"", 2, 8, 6, 8, 3, {.padding = 1}};
  const ConvGeometry g = geometry_of(c);
  const gpu::Stream stream;
  const gpu::StreamScope scope(stream);
  const Tensor x = images({2, 8, 6, 6}).to(cuda);
  const Tensor weight = primitives::relayout(randn({8, 8, 3, 3}), channels_last).to(cuda);
  Tensor y = Tensor::empty_like(x);
  bool taken = true;
  const gpu::Graph before(stream, [&] { taken = conv2d_forward_cudnn(x, weight, {}, g, y); });
  EXPECT_FALSE(taken);
  if (!conv2d_forward_cudnn(x, weight, {}, g, y)) {
    return;
  }
  const std::vector<float> wanted = y.to(cpu).to_vector<float>();
  Tensor captured = filled_with_nan(y);
  const gpu::Graph graph(stream, [&] { taken = conv2d_forward_cudnn(x, weight, {}, g, captured); });
  if (taken) {
    graph.launch(stream.handle());
    EXPECT_EQ(captured.to(cpu).to_vector<float>(), wanted);
  }
}

}  // namespace
}  // namespace warptape
