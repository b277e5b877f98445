// Ops ask for a library where it is chosen, and nowhere else. Libraries need not be there: then
// ours serve what was asked of them.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/random.h"
#include "core/tape.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/linear/linear.h"
#include "kernels/matmul/matmul.h"
#include "kernels/sum/sum.h"
#include "kernels/vendor/choice.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/perceptron.h"

namespace warptape {
namespace {

class Serving : public GpuTest {
 protected:
  void TearDown() override {
    set_gpu_libraries(before_);
    set_tf32(false);
  }

  // The products of an op and its gradients.
  template <class Op>
  std::vector<Served> run(const std::vector<Shape>& shapes, DType dtype, const Op& op) {
    Tape tape;
    std::vector<Tensor> inputs;
    for (const Shape& shape : shapes) {
      inputs.push_back(randn(shape, dtype).to(cuda));
      tape.watch(inputs.back());
    }
    start_serving_log();
    const int64_t calls_before = gpu_library_calls();
    tape.backward(sum(op(inputs)));
    calls_ = gpu_library_calls() - calls_before;
    return stop_serving_log();
  }

  // The same under each of the modes, in all precisions.
  template <class Op>
  void expect_obedience(const std::vector<Shape>& shapes, size_t products, const Op& op) {
    const int architecture = gpu::properties().compute_capability;
    for (const DType dtype : {float32, float64}) {
      for (const bool tf32 : {false, true}) {
        for (const GpuLibraries mode : {GpuLibraries::Off, GpuLibraries::On, GpuLibraries::Auto}) {
          SCOPED_TRACE(fmt::format("{}, tf32 {}, {}", to_string(dtype), tf32, name_of(mode)));
          set_gpu_libraries(mode);
          set_tf32(tf32);
          const std::vector<Served> log = run(shapes, dtype, op);
          EXPECT_GE(log.size(), products);
          int64_t asked = 0;
          for (const Served& served : log) {
            SCOPED_TRACE(to_string(served.product));
            EXPECT_EQ(served.product.precision, dtype == float64 ? Precision::Float64
                                                : tf32           ? Precision::Tf32
                                                                 : Precision::Float32);
            EXPECT_EQ(served.asked > 0, library_is_chosen(served.product, mode, architecture));
            EXPECT_EQ(served.by_library + served.by_ours,
                      served.product.relu_grad ? served.by_library : 1);
            asked += served.asked;
          }
          if (asked == 0) {
            EXPECT_EQ(calls_, 0) << "a library was asked that was not chosen";
          } else {
            EXPECT_GE(calls_, asked) << "a library that was chosen was not asked";
          }
        }
      }
    }
  }

  int64_t calls_ = 0;  // of libraries, by the last run

 private:
  const GpuLibraries before_ = gpu_libraries();
};

std::vector<std::string> texts(const std::vector<Served>& log) {
  std::vector<std::string> result;
  for (const Served& served : log) {
    result.push_back(to_string(served.product));
  }
  return result;
}

Tensor apply_conv(const std::vector<Tensor>& in, const Conv2dOptions& options) {
  return conv2d(in[0], in[1], in[2], options);
}
Tensor apply_conv2(const std::vector<Tensor>& in) {
  return apply_conv(in, {.stride = 2, .padding = 1, .groups = 2});
}
Tensor apply_depthwise(const std::vector<Tensor>& in) {
  return apply_conv(in, {.padding = 1, .groups = 4});
}
Tensor apply_perceptron(const std::vector<Tensor>& in) {
  return perceptron(in[0], in[1], in[2], in[3], in[4]);
}
const std::vector<Shape> conv_shapes{{2, 4, 5, 6}, {6, 2, 3, 3}, {6}};
const std::vector<Shape> depthwise_shapes{{2, 4, 5, 6}, {8, 1, 3, 3}, {8}};
const std::vector<Shape> perceptron_shapes{{5, 8}, {12, 8}, {12}, {3, 12}, {3}};

TEST_F(Serving, Conv2dObeys) {
  expect_obedience(conv_shapes, 3, apply_conv2);
}
TEST_F(Serving, DepthwiseObeys) {
  expect_obedience(depthwise_shapes, 3, apply_depthwise);
}
TEST_F(Serving, LinearObeys) {
  expect_obedience({{5, 8}, {12, 8}, {12}}, 3,
                   [](const auto& in) { return linear(in[0], in[1], in[2]); });
}
TEST_F(Serving, MatmulObeys) {
  expect_obedience({{2, 5, 8}, {2, 8, 12}}, 3, [](const auto& in) { return matmul(in[0], in[1]); });
}
TEST_F(Serving, PerceptronObeys) {
  expect_obedience(perceptron_shapes, 6, apply_perceptron);
}

TEST_F(Serving, ProductsAreTold) {
  set_gpu_libraries(GpuLibraries::Off);
  EXPECT_EQ(texts(run(conv_shapes, float32, apply_conv2)),
            (std::vector<std::string>{
                "conv2d y, 18 pixels, 9 taps of 2 to 3 channels, 2 groups, float32",
                "conv2d dx, 18 pixels, 9 taps of 2 to 3 channels, 2 groups, float32",
                "conv2d dw, 18 pixels, 9 taps of 2 to 3 channels, 2 groups, float32"}));
  EXPECT_EQ(texts(run(depthwise_shapes, float64, apply_depthwise)),
            (std::vector<std::string>{
                "depthwise conv2d y, 60 pixels, 9 taps of 1 to 2 channels, 4 groups, float64",
                "depthwise conv2d dx, 60 pixels, 9 taps of 1 to 2 channels, 4 groups, float64",
                "depthwise conv2d dw, 60 pixels, 9 taps of 1 to 2 channels, 4 groups, float64"}));
  EXPECT_EQ(
      texts(run(perceptron_shapes, float32, apply_perceptron)),
      (std::vector<std::string>{
          "gemm 3x5 by 5x12, a transposed, float32", "gemm 5x12 by 12x3, b transposed, float32",
          "gemm 5x12 by 12x8, float32", "gemm 5x3 by 3x12, float32",
          "gemm 5x8 by 8x12, b transposed, float32", "gemm 12x5 by 5x8, a transposed, float32"}));
}

// The mask is made where both ends of it are the library's: one more call, which an absent library
// declines.
TEST_F(Serving, TheMaskOfReluIsMadeForItsGradientAlone) {
  if (cublas_library().reason.empty()) {
    GTEST_SKIP() << "cuBLASLt is there and takes the mask or not";
  }
  set_gpu_libraries(GpuLibraries::On);
  run(perceptron_shapes, float32, apply_perceptron);
  EXPECT_EQ(calls_, 7);  // six products, and the mask's
  set_gpu_libraries(GpuLibraries::Off);
  run(perceptron_shapes, float32, apply_perceptron);
  EXPECT_EQ(calls_, 0);
}

TEST_F(Serving, LibrariesAreAskedFirst) {
  const Product product{ProductKind::Gemm, Precision::Float32, 3, 4, 5};
  std::string order;
  const auto serve_once = [&](GpuLibraries mode, bool can) {
    set_gpu_libraries(mode);
    order.clear();
    start_serving_log();
    serve(
        product, [&] { return order += "library ", can; }, [&] { order += "ours"; });
    return stop_serving_log().at(0);
  };
  Served served = serve_once(GpuLibraries::On, true);
  EXPECT_EQ(order, "library ");
  EXPECT_EQ(served.by_library, 1);
  EXPECT_EQ(served.by_ours, 0);
  served = serve_once(GpuLibraries::On, false);
  EXPECT_EQ(order, "library ours");
  EXPECT_EQ(served.asked, 1);
  EXPECT_EQ(served.by_library, 0);
  EXPECT_EQ(served.by_ours, 1);
  served = serve_once(GpuLibraries::Off, true);
  EXPECT_EQ(order, "ours");
  EXPECT_EQ(served.asked, 0);
  EXPECT_EQ(served.by_ours, 1);
}

}  // namespace
}  // namespace warptape
