// Convolutions on cuDNN against those of the CPU.

#include <gtest/gtest.h>

#include <cmath>

#include "core/primitives.h"
#include "core/random.h"
#include "kernels/common/gpu_libraries.h"
#include "kernels/conv2d/conv2d_kernels.h"
#include "tests/core/device/gpu_test.h"

namespace warptape {
namespace {

constexpr Device cuda{DeviceType::CUDA, 0};
constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

class Conv2dCudnn : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (!cudnn_library().reason.empty()) {
      GTEST_SKIP() << "cuDNN: " << cudnn_library().reason;
    }
    if (!gpu_libraries_are_on()) {
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
  const auto out = [&](int64_t stride, int64_t padding, int64_t dilation) {
    return (c.size + 2 * padding - dilation * (c.kernel - 1) - 1) / stride + 1;
  };
  const Conv2dOptions& o = c.options;
  return {c.batch,
          c.in,
          c.size,
          c.size,
          c.out,
          c.kernel,
          c.kernel,
          out(o.stride.height, o.padding.height, o.dilation.height),
          out(o.stride.width, o.padding.width, o.dilation.width),
          o};
}

Tensor filled_with_nan(const Tensor& like) {
  return primitives::relayout(Tensor::full(like.shape(), NAN), channels_last).to(cuda);
}

Tensor images(const Shape& shape) {
  return primitives::relayout(randn(shape), channels_last);
}

// The largest difference over the largest value.
double difference(const Tensor& got, const Tensor& wanted) {
  const std::vector<float> a = got.to(cpu).to_vector<float>();
  const std::vector<float> b = wanted.to_vector<float>();
  double worst = 0;
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double apart = std::abs(static_cast<double>(a[i]) - b[i]);
    worst = std::isnan(apart) ? INFINITY : std::max(worst, apart);
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
  }
  return worst / largest;
}

void all_passes(const Case& c, double bound) {
  const ConvGeometry g = geometry_of(c);
  const Tensor x = images({g.batch, g.in_channels, g.height, g.width});
  const Tensor weight = randn({g.out_channels, g.in_per_group(), c.kernel, c.kernel});
  const Tensor bias = randn({g.out_channels});
  const Tensor dy = images({g.batch, g.out_channels, g.out_height, g.out_width});
  const Tensor x_cuda = x.to(cuda);
  const Tensor weight_cuda = primitives::relayout(weight, channels_last).to(cuda);
  const Tensor bias_cuda = bias.to(cuda);
  const Tensor dy_cuda = dy.to(cuda);
  // Twice: the second time with the plan that was kept, and it must give the same bits.
  const auto check_pass = [&](const char* pass, bool must_be_taken, const Tensor& wanted,
                              const auto& run) {
    Tensor first = filled_with_nan(wanted);
    if (!run(first)) {
      EXPECT_FALSE(must_be_taken) << c.name << " " << pass;
      std::printf("  %s %s: not taken\n", c.name, pass);
      return;
    }
    Tensor second = filled_with_nan(wanted);
    EXPECT_TRUE(run(second));
    EXPECT_LE(difference(first, wanted), bound) << c.name << " " << pass;
    EXPECT_EQ(first.to(cpu).to_vector<float>(), second.to(cpu).to_vector<float>())
        << c.name << " " << pass;
  };

  Tensor y = Tensor::empty_like(dy);
  conv2d_forward_cpu(x, weight, bias, g, y);
  check_pass("forward", c.must_be_taken, y, [&](Tensor& to) {
    return conv2d_forward_cudnn(x_cuda, weight_cuda, bias_cuda, g, to);
  });
  conv2d_forward_cpu(x, weight, {}, g, y);
  check_pass("forward without bias", c.must_be_taken, y,
             [&](Tensor& to) { return conv2d_forward_cudnn(x_cuda, weight_cuda, {}, g, to); });
  Tensor dx = Tensor::empty_like(x);
  conv2d_data_grad_cpu(dy, weight, g, dx);
  check_pass("data gradient", false, dx,
             [&](Tensor& to) { return conv2d_data_grad_cudnn(dy_cuda, weight_cuda, g, to); });
  Tensor dweight = Tensor::empty_like(weight);
  conv2d_weight_grad_cpu(dy, x, g, dweight);
  check_pass("weight gradient", c.must_be_taken, dweight,
             [&](Tensor& to) { return conv2d_weight_grad_cudnn(dy_cuda, x_cuda, g, to); });
}

TEST_F(Conv2dCudnn, Float32) {
  for (const Case& c : cases) {
    all_passes(c, 5e-6);
  }
}

TEST_F(Conv2dCudnn, Tf32) {
  set_tf32(true);
  for (const Case& c : cases) {
    all_passes(c, 5e-3);
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
