// The plan that each product must take: a fast path that nobody asserts is one that is not taken.
// Nothing is multiplied here, so that sizes are those of real models.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/tape.h"
#include "kernels/conv2d/conv2d_kernels.h"
#include "kernels/linear/linear_kernels.h"
#include "kernels/matmul/gemm_cuda.h"
#include "kernels/matrix/plan.h"
#include "kernels/ops.h"
#include "kernels/vendor/gpu_libraries.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/cuda/whole_numbers.h"
#include "tools/plan_notes.h"

namespace warptape {
namespace {

constexpr Device cuda_device{DeviceType::CUDA, 0};

// Of our kernels, whichever library is there.
class MatrixPlan : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    set_gpu_libraries(GpuLibraries::Off);
  }
  void TearDown() override { set_gpu_libraries(libraries_before_); }

 private:
  const GpuLibraries libraries_before_ = gpu_libraries();
};

using Plans = std::vector<std::string>;

// Without the op's name.
template <class Queue>
Plans plans_of(const Queue& queue) {
  const PlanNotes notes(PlanNotes::Launches::Skip);
  queue();
  Plans plans;
  for (const std::string& plan : notes.plans()) {
    plans.push_back(plan.substr(plan.find(": ") + 2));
  }
  return plans;
}

// y, dx and dw of a layer.
struct LayerPlans {
  Plans y, dx, dw;
};

Tensor matrix_of(int64_t rows, int64_t columns) {
  return Tensor::empty({rows, columns}, float32, cuda_device);
}
Tensor image_of(const Shape& shape) {
  return Tensor::empty(shape, float32, cuda_device, MemoryFormat::ChannelsLast);
}

LayerPlans linear_plans(int64_t batch, int64_t in, int64_t out) {
  const Tensor weight = matrix_of(out, in);
  Tensor x = matrix_of(batch, in);
  Tensor y = matrix_of(batch, out);
  const GradientTarget dweight{matrix_of(out, in), WriteMode::Overwrite};
  return {plans_of([&] { linear_forward_cuda("linear", x, weight, Tensor(), false, y); }),
          plans_of([&] { linear_data_grad_cuda("linear", y, weight, x); }),
          plans_of([&] { linear_weight_grad_cuda("linear", y, x, dweight, nullptr); })};
}

LayerPlans conv_plans(const ConvCase& layer) {
  const ConvGeometry g = layer.geometry();
  Tensor x = image_of(g.x_shape());
  Tensor weight = image_of(g.filter_shape());
  Tensor y = image_of(g.y_shape());
  return {plans_of([&] { conv2d_forward_cuda(x, weight, Tensor(), g, y); }),
          plans_of([&] { conv2d_data_grad_cuda(y, weight, Tensor(), g, x); }),
          plans_of([&] { conv2d_parameter_grads_cuda(y, x, g, &weight, nullptr); })};
}

// Whichever operands are transposed.
std::string gemm_plan(GemmProblem p) {
  const Tensor a = matrix_of(p.m, p.k);
  const Tensor b = matrix_of(p.k, p.n);
  Tensor c = matrix_of(p.m, p.n);
  Plans found;
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      if (transpose_a && transpose_b && p.m * p.k > 1 << 16) {
        continue;  // copies a first, which the emulation would take long to do
      }
      p.transpose_a = transpose_a;
      p.transpose_b = transpose_b;
      for (const std::string& plan : plans_of([&] {
             gemm_cuda<float>("gemm", p, a.data<float>(), b.data<float>(), {},
                              c.mutable_data<float>());
           })) {
        if (std::find(found.begin(), found.end(), plan) == found.end()) {
          found.push_back(plan);
        }
      }
    }
  }
  return found.size() == 1 ? found[0] : fmt::format("different plans: {}", fmt::join(found, "; "));
}

void expect_plans(const std::string& layer, const LayerPlans& got, const LayerPlans& wanted) {
  EXPECT_EQ(got.y, wanted.y) << layer << ": forward";
  EXPECT_EQ(got.dx, wanted.dx) << layer << ": data gradient";
  EXPECT_EQ(got.dw, wanted.dw) << layer << ": weight gradient";
}

// The layers of SimpleCNN on images of 3x32x32.
TEST_F(MatrixPlan, ProductsOfSimpleCNN) {
  expect_plans(
      "conv1 at 16", conv_plans({16, 3, 32, 32, 64, 3, {.padding = 1}}),
      {{"single elements, tiles of 64x64, 256 blocks of 4 steps"},
       {"single elements, tiles of 128x64, 256 blocks, 2 splits of 36 steps"},
       {"single elements, tiles of 64x64, 128 blocks, 128 splits of 16 steps in groups of 12"}});
  expect_plans("conv2 at 16", conv_plans({16, 64, 16, 16, 128, 3, {.padding = 1}}),
               {{"packs of 4, tiles of 64x64, 256 blocks, 2 splits of 36 steps"},
                {"packs of 4, tiles of 64x64, 256 blocks, 4 splits of 36 steps"},
                {"packs of 4, tiles of 64x64, 252 blocks, 14 splits of 37 steps in groups of 4"}});
  expect_plans("fc1 at 16", linear_plans(16, 8192, 256),
               {{"packs of 4, tiles of 64x64, 128 blocks, 32 splits of 32 steps in groups of 6"},
                {"packs of 4, tiles of 64x64, 128 blocks of 32 steps"},
                {"packs of 4, tiles of 128x64, 256 blocks of 2 steps"}});
  expect_plans("fc2 at 16", linear_plans(16, 256, 10),
               {{"packs of 4, tiles of 64x64, 8 blocks, 8 splits of 4 steps"},
                {"single elements, tiles of 64x64, 4 blocks of 2 steps"},
                {"single elements, tiles of 64x64, 4 blocks of 2 steps"}});
  expect_plans(
      "conv1 at 128", conv_plans({128, 3, 32, 32, 64, 3, {.padding = 1}}),
      {{"single elements, tiles of 128x64, 1024 blocks of 4 steps"},
       {"single elements, tiles of 128x64, 1024 blocks of 72 steps"},
       {"single elements, tiles of 64x64, 261 blocks, 261 splits of 63 steps in groups of 17"}});
  expect_plans(
      "conv2 at 128", conv_plans({128, 64, 16, 16, 128, 3, {.padding = 1}}),
      {{"packs of 4, tiles of 128x128, 256 blocks of 72 steps"},
       {"packs of 4, tiles of 128x64, 256 blocks of 144 steps"},
       {"packs of 4, tiles of 128x64, 261 blocks, 29 splits of 142 steps in groups of 6"}});
  expect_plans("fc1 at 128", linear_plans(128, 8192, 256),
               {{"packs of 4, tiles of 64x64, 256 blocks, 32 splits of 32 steps in groups of 6"},
                {"packs of 4, tiles of 64x64, 256 blocks of 32 steps"},
                {"packs of 4, tiles of 128x64, 256 blocks of 16 steps"}});
  expect_plans("fc2 at 128", linear_plans(128, 256, 10),
               {{"packs of 4, tiles of 64x64, 16 blocks, 8 splits of 4 steps"},
                {"single elements, tiles of 64x64, 8 blocks of 2 steps"},
                {"single elements, tiles of 64x64, 32 blocks, 8 splits of 2 steps"}});
  expect_plans(
      "conv1 at 512", conv_plans({512, 3, 32, 32, 64, 3, {.padding = 1}}),
      {{"single elements, tiles of 128x64, 4096 blocks of 4 steps"},
       {"single elements, tiles of 128x64, 4096 blocks of 72 steps"},
       {"single elements, tiles of 64x64, 264 blocks, 264 splits of 249 steps in groups of 17"}});
  expect_plans(
      "conv2 at 512", conv_plans({512, 64, 16, 16, 128, 3, {.padding = 1}}),
      {{"packs of 4, tiles of 128x128, 1024 blocks of 72 steps"},
       {"packs of 4, tiles of 128x64, 1024 blocks of 144 steps"},
       {"packs of 4, tiles of 128x64, 261 blocks, 29 splits of 565 steps in groups of 6"}});
  expect_plans("fc1 at 512", linear_plans(512, 8192, 256),
               {{"packs of 4, tiles of 64x64, 256 blocks, 8 splits of 128 steps"},
                {"packs of 4, tiles of 128x128, 256 blocks of 32 steps"},
                {"packs of 4, tiles of 128x64, 256 blocks of 64 steps"}});
  expect_plans(
      "fc2 at 512", linear_plans(512, 256, 10),
      {{"packs of 4, tiles of 64x64, 64 blocks, 8 splits of 4 steps"},
       {"single elements, tiles of 64x64, 32 blocks of 2 steps"},
       {"single elements, tiles of 64x64, 128 blocks, 32 splits of 2 steps in groups of 6"}});
}

TEST_F(MatrixPlan, SquareProducts) {
  EXPECT_EQ(gemm_plan({.m = 64, .n = 64, .k = 64}),
            "packs of 4, tiles of 64x64, 1 block of 8 steps");
  EXPECT_EQ(gemm_plan({.m = 128, .n = 128, .k = 128}),
            "packs of 4, tiles of 64x64, 16 blocks, 4 splits of 4 steps");
  EXPECT_EQ(gemm_plan({.m = 256, .n = 256, .k = 256}),
            "packs of 4, tiles of 64x64, 128 blocks, 8 splits of 4 steps");
  EXPECT_EQ(gemm_plan({.m = 512, .n = 512, .k = 512}),
            "packs of 4, tiles of 64x64, 256 blocks, 4 splits of 16 steps");
  EXPECT_EQ(gemm_plan({.m = 1024, .n = 1024, .k = 1024}),
            "packs of 4, tiles of 64x64, 256 blocks of 128 steps");
  EXPECT_EQ(gemm_plan({.m = 2048, .n = 2048, .k = 2048}),
            "packs of 4, tiles of 128x128, 256 blocks of 256 steps");
  EXPECT_EQ(gemm_plan({.m = 4096, .n = 4096, .k = 4096}),
            "packs of 4, tiles of 128x128, 1024 blocks of 512 steps");
}

TEST_F(MatrixPlan, Convolutions) {
  expect_plans("groups of 16", conv_plans({128, 64, 16, 16, 128, 3, {.padding = 1, .groups = 4}}),
               {{"packs of 4, tiles of 128x64, 1024 blocks of 18 steps"},
                {"packs of 4, tiles of 128x64, 1024 blocks of 36 steps"},
                {"packs of 4, tiles of 64x64, 264 blocks, 22 splits of 187 steps in groups of 5"}});
  expect_plans(
      "groups of 6", conv_plans({128, 24, 16, 16, 24, 3, {.padding = 1, .groups = 4}}),
      {{"single elements, tiles of 128x64, 1024 blocks of 7 steps"},
       {"single elements, tiles of 128x64, 1024 blocks of 7 steps"},
       {"single elements, tiles of 64x64, 264 blocks, 66 splits of 63 steps in groups of 9"}});
  expect_plans(
      "a stride of 2", conv_plans({128, 64, 32, 32, 128, 3, {.stride = 2, .padding = 1}}),
      {{"packs of 4, tiles of 128x128, 256 blocks of 72 steps"},
       {"packs of 4, tiles of 128x64, 256 blocks of 16 steps",
        "packs of 4, tiles of 128x64, 256 blocks of 32 steps",
        "packs of 4, tiles of 128x64, 256 blocks of 64 steps"},
       {"packs of 4, tiles of 128x64, 261 blocks, 29 splits of 142 steps in groups of 6"}});
  expect_plans("one pixel", conv_plans({128, 256, 14, 14, 64, 1}),
               {{"packs of 4, tiles of 64x64, 392 blocks of 32 steps"},
                {"packs of 4, tiles of 128x128, 392 blocks of 8 steps"},
                {"packs of 4, tiles of 64x64, 264 blocks, 66 splits of 48 steps in groups of 9"}});
  expect_plans("a dilation of 2",
               conv_plans({128, 64, 16, 16, 64, 3, {.padding = 2, .dilation = 2}}),
               {{"packs of 4, tiles of 128x64, 256 blocks of 72 steps"},
                {"packs of 4, tiles of 128x64, 256 blocks of 72 steps"},
                {"packs of 4, tiles of 64x64, 261 blocks, 29 splits of 142 steps in groups of 6"}});
  // Where the zeros lie is no matter.
  expect_plans("zeros above and on the left",
               conv_plans({128, 64, 16, 16, 128, 3, {.padding = Sides2d{.top = 2, .left = 2}}}),
               conv_plans({128, 64, 16, 16, 128, 3, {.padding = 1}}));
  expect_plans("depthwise, zeros below and on the right",
               conv_plans({128, 64, 16, 16, 64, 3, {.padding = Sides2d{0, 2, 0, 2}, .groups = 64}}),
               conv_plans({128, 64, 16, 16, 64, 3, {.padding = 1, .groups = 64}}));
  expect_plans("depthwise", conv_plans({128, 64, 16, 16, 64, 3, {.padding = 1, .groups = 64}}),
               {{"packs of 4, depthwise, 2048 blocks"},
                {"packs of 4, depthwise, 2048 blocks"},
                {"packs of 4, depthwise, 288 blocks, 32 chunks of pixels added up by 72 blocks"}});
  expect_plans(
      "depthwise, two outputs a channel",
      conv_plans({128, 64, 16, 16, 128, 3, {.padding = 1, .groups = 64}}),
      {{"single elements, depthwise, 16384 blocks"},
       {"single elements, depthwise, 8192 blocks"},
       {"single elements, depthwise, 1152 blocks, 32 chunks of pixels added up by 144 blocks"}});
}

// Rows of a, of b and along the depth that are no whole packs; neither is what begins between them.
TEST_F(MatrixPlan, OddProductsTakeSingleElements) {
  EXPECT_EQ(gemm_plan({.m = 65, .n = 130, .k = 33}),
            "single elements, tiles of 64x64, 6 blocks of 5 steps");
  const GemmProblem p{.m = 64, .n = 64, .k = 64};
  const Tensor a = matrix_of(65, 64);
  const Tensor b = matrix_of(65, 64);
  Tensor c = matrix_of(64, 64);
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      for (const int64_t off : {0, 1, 2, 4}) {
        for (const bool is_a : {false, true}) {
          GemmProblem problem = p;
          problem.transpose_a = transpose_a;
          problem.transpose_b = transpose_b;
          const Plans plans = plans_of([&] {
            gemm_cuda<float>("gemm", problem, a.data<float>() + (is_a ? off : 0),
                             b.data<float>() + (is_a ? 0 : off), {}, c.mutable_data<float>());
          });
          // Of two transposed operands a is copied first.
          const bool packs = off % 4 == 0 || (is_a && transpose_a && transpose_b);
          ASSERT_EQ(plans.size(), 1u);
          EXPECT_TRUE(plans[0].starts_with(packs ? "packs of 4" : "single elements"))
              << plans[0] << ": " << (is_a ? "a" : "b") << " begins at element " << off
              << (transpose_a ? ", a transposed" : "") << (transpose_b ? ", b transposed" : "");
        }
      }
    }
  }
}

// Ops hand their products on as the table has them.
TEST_F(MatrixPlan, OpsTakePacksForwardAndBackward) {
  const auto expect_packs = [](const char* what, size_t products, const auto& op) {
    Tensor a = Tensor::ones({8, 16}, float32, cuda_device);
    Tensor b = Tensor::ones({16, 16}, float32, cuda_device);
    const PlanNotes notes;
    Tape tape;
    tape.watch(a);
    tape.watch(b);
    tape.backward(sum(op(a, b)));
    EXPECT_EQ(notes.plans().size(), products) << what;
    for (const std::string& plan : notes.plans()) {
      EXPECT_NE(plan.find(": packs of 4,"), std::string::npos) << what << ": " << plan;
    }
  };
  // Equal plans are noted once.
  expect_packs("matmul", 2, [](const Tensor& a, const Tensor& b) { return matmul(a, b); });
  expect_packs("linear", 2, [](const Tensor& a, const Tensor& b) { return linear(a, b); });
  expect_packs("matmul of a view", 2, [](const Tensor& a, const Tensor& b) {
    return matmul(reshape(a, {2, 4, 16}), b);
  });
}

// In bfloat16 they go to tensor cores, also where a layer rounds its float32 weight.
TEST_F(MatrixPlan, OpsInBfloat16TakePacksOfEight) {
  const Parameter weight(Tensor::ones({16, 16}, float32, cuda_device));
  const Tensor x = Tensor::ones({8, 16}, bfloat16, cuda_device);
  const PlanNotes notes;
  Tape tape;
  Tensor input = x;
  tape.watch(input);
  tape.backward(sum(linear(input, weight.value().to(bfloat16)).to(float32)));
  EXPECT_GE(notes.plans().size(), 1u);
  for (const std::string& plan : notes.plans()) {
    EXPECT_NE(plan.find(": packs of 8, tiles of "), std::string::npos) << plan;
  }
  // The largest products of a SimpleCNN step at batch 512, of the widest TCN's, and a small square:
  // forward, data gradients, and gradients of weights. None leaves a multiprocessor without a
  // block, and where half of a square tile would be empty there is none.
  using matrix::Cores;
  for (const matrix::ProductSize& size :
       {matrix::ProductSize{.rows = 512 * 256, .columns = 128, .depth = 576},
        matrix::ProductSize{.rows = 512 * 256, .columns = 64, .depth = 1152},
        matrix::ProductSize{.rows = 128, .columns = 576, .depth = 512 * 256, .thin_rows = true},
        matrix::ProductSize{.rows = 512, .columns = 256, .depth = 8192},
        matrix::ProductSize{.rows = 256, .columns = 8192, .depth = 512, .thin_rows = true},
        matrix::ProductSize{.rows = 16 * 4096, .columns = 64, .depth = 448},
        matrix::ProductSize{.rows = 64, .columns = 448, .depth = 16 * 4096, .thin_rows = true},
        matrix::ProductSize{.rows = 1024, .columns = 1024, .depth = 1024}}) {
    for (const Cores cores : {Cores::Tensor, Cores::Tf32}) {
      const matrix::Plan plan = matrix::make_plan(size, cores, cores == Cores::Tensor ? 8 : 4);
      EXPECT_GE(plan.blocks, 132) << to_string(plan);
      EXPECT_TRUE(size.rows > 64 || plan.tile.rows == 64) << to_string(plan);
      EXPECT_TRUE(size.columns > 64 || plan.tile.columns == 64) << to_string(plan);
    }
  }
}

// A product of half a GFLOP has work for every multiprocessor of an H100.
TEST_F(MatrixPlan, LargeProductsFillTheChip) {
  const auto expect_full = [](const std::string& what, double flops, const Plans& plans) {
    for (const std::string& plan : plans) {
      const size_t end = plan.find(" block");
      const size_t begin = plan.rfind(' ', end - 1) + 1;
      const int blocks = std::stoi(plan.substr(begin, end - begin));
      EXPECT_TRUE(flops < 0.5e9 || blocks >= 132) << what << ": " << plan;
    }
  };
  for (const int64_t batch : {128, 300, 512, 700}) {
    const auto layer = [&](const std::string& name, double multiplications,
                           const LayerPlans& plans) {
      for (const Plans* pass : {&plans.y, &plans.dx, &plans.dw}) {
        expect_full(fmt::format("{} at {}", name, batch),
                    2.0 * static_cast<double>(batch) * multiplications, *pass);
      }
    };
    layer("conv1", 1024 * 27 * 64, conv_plans({batch, 3, 32, 32, 64, 3, {.padding = 1}}));
    layer("conv2", 256 * 576 * 128, conv_plans({batch, 64, 16, 16, 128, 3, {.padding = 1}}));
    layer("fc1", 8192 * 256, linear_plans(batch, 8192, 256));
  }
  for (const int64_t size : {640, 768, 1000, 1024, 1500, 2048, 3000, 4096}) {
    expect_full(fmt::format("gemm {}", size), 2.0 * static_cast<double>(size * size * size),
                {gemm_plan({.m = size, .n = size, .k = size})});
  }
}

// What packs need of each view: that no pack is cut, and that all of them are aligned.
TEST(MatrixPlanPacks, NeedEveryStride) {
  alignas(16) float memory[8] = {};
  const auto expect_needed = [](const char* what, const auto& view, const auto& spoil) {
    EXPECT_TRUE(matrix::fits_packs(view, true, 4)) << what;
    auto spoilt = view;
    spoil(spoilt);
    EXPECT_FALSE(matrix::fits_packs(spoilt, true, 4)) << what;
  };
  matrix::MatrixView<float> m{memory, {8}, {12}, 12, 1, 96};
  expect_needed("depth", m, [](auto& v) { v.depth.extent = 13; });
  expect_needed("row stride", m, [](auto& v) { v.row_stride = 13; });
  expect_needed("depth stride", m, [](auto& v) { v.depth_stride = 4; });
  expect_needed("group stride", m, [](auto& v) { v.group_stride = 98; });
  expect_needed("address", m, [](auto& v) { v.data += 2; });
  m = {memory, {8}, {12}, 1, 8, 96};
  EXPECT_TRUE(matrix::fits_packs(m, false, 4));
  m.rows.extent = 9;
  EXPECT_FALSE(matrix::fits_packs(m, false, 4));

  const matrix::FilterView<float> f{memory, {8}, {3, 3, 4}, 24, 8, 72, 288};
  expect_needed("rows", f, [](auto& v) { v.rows.extent = 6; });
  expect_needed("tap rows", f, [](auto& v) { v.tap_y_stride = 25; });
  expect_needed("taps", f, [](auto& v) { v.tap_x_stride = 9; });
  expect_needed("channels", f, [](auto& v) { v.channel_stride = 74; });
  expect_needed("group stride", f, [](auto& v) { v.group_stride = 289; });
  expect_needed("address", f, [](auto& v) { v.data += 1; });

  const auto expect_of_image = [&]<bool rows_are_pixels>() {
    matrix::ImageView<float, rows_are_pixels> i;
    i.data = memory;
    i.rows = {4, 4, 4};
    i.depth = {4, 4, 4};
    i.taps = matrix::TapGeometry::of_images(5, 5, 8);
    i.group_stride = 4;
    expect_needed("channels of a tap", i,
                  [](auto& v) { (rows_are_pixels ? v.depth : v.rows).inner = 6; });
    expect_needed("pixel pitch", i, [](auto& v) { v.taps.pixel_pitch = 1; });
    expect_needed("image pitch", i, [](auto& v) { v.taps.image_pitch = 201; });
    expect_needed("group stride", i, [](auto& v) { v.group_stride = 2; });
    expect_needed("address", i, [](auto& v) { v.data += 3; });
  };
  expect_of_image.operator()<true>();
  expect_of_image.operator()<false>();
}

TEST(MatrixPlanPacks, PlansAreValues) {
  const matrix::ProductSize size{512, 256, 8192};
  const matrix::Plan plan = matrix::make_plan(size, matrix::Cores::Float, 4);
  EXPECT_EQ(plan, matrix::make_plan(size, matrix::Cores::Float, 4));
  EXPECT_NE(plan, matrix::make_plan(size, matrix::Cores::Float, 1));
  EXPECT_EQ(to_string(matrix::make_plan(size, matrix::Cores::Double, 2)),
            "packs of 2, tiles of 64x64, 256 blocks, 8 splits of 128 steps");
  EXPECT_EQ(to_string(matrix::make_plan(size, matrix::Cores::Tensor, 8)),
            "packs of 8, tiles of 128x64, 256 blocks, 16 splits of 32 steps in groups of 4");
}

}  // namespace
}  // namespace warptape
