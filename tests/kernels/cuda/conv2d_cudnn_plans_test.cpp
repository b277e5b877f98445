// What cuDNN would run on an H200 for SimpleCNN's convolutions, asked without a GPU: it plans from
// a GPU's properties alone. Only that there is a plan and its workspace are promised; which engine
// it is may change with cuDNN's version.

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_cudnn.h"
#include "kernels/vendor/gpu_libraries.h"

namespace warptape {
namespace {

struct Layer {
  const char* name;
  int64_t in, out, size;
};
constexpr Layer conv1{"conv1", 3, 64, 32};
constexpr Layer conv2{"conv2", 64, 128, 16};

class CudnnPlans : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cudnn_library().reason.empty()) {
      GTEST_SKIP() << "cuDNN: " << cudnn_library().reason;
    }
    std::ifstream file(WARPTAPE_SOURCE_DIR "/tests/kernels/cuda/h200_device_properties.json");
    std::stringstream text;
    text << file.rdbuf();
    h200_ = text.str();
    ASSERT_FALSE(h200_.empty());
  }

  CudnnPlanReport plan(const Layer& layer, ConvPass pass) const {
    return plan(layer, pass, {.padding = 1});
  }
  CudnnPlanReport plan(const Layer& layer, ConvPass pass, const Conv2dOptions& options) const {
    const ConvGeometry geometry =
        conv_geometry("conv2d", Shape{512, layer.in, layer.size, layer.size},
                      Shape{layer.out, layer.in, 3, 3}, options.axes(), 1);
    return cudnn_plan_report(pass, geometry, pass == ConvPass::Forward, h200_, 90);
  }

  void expect_plan(const Layer& layer, ConvPass pass, const char* name) const {
    const CudnnPlanReport found = plan(layer, pass);
    std::printf("  %s %s: %s, %lld bytes\n", layer.name, name, found.engine.c_str(),
                static_cast<long long>(found.workspace));
    EXPECT_NE(found.engine, "") << layer.name << " " << name << ": " << found.why_none;
    EXPECT_LE(found.workspace, cudnn_workspace_limit) << layer.name << " " << name;
  }

 private:
  std::string h200_;
};

TEST_F(CudnnPlans, Float32) {
  expect_plan(conv1, ConvPass::Forward, "forward");
  expect_plan(conv1, ConvPass::DataGrad, "data gradient");
  expect_plan(conv1, ConvPass::WeightGrad, "weight gradient");
  expect_plan(conv2, ConvPass::Forward, "forward");
  expect_plan(conv2, ConvPass::WeightGrad, "weight gradient");
}

// Without tensor cores its only plans copy dy and the result to another layout, in 96 MB: our
// kernel serves.
TEST_F(CudnnPlans, TheDataGradientOfConv2IsOurs) {
  const CudnnPlanReport found = plan(conv2, ConvPass::DataGrad);
  EXPECT_EQ(found.engine, "");
  EXPECT_NE(found.why_none, "");
}

// cuDNN is given one number for both sides.
TEST_F(CudnnPlans, PaddingThatDiffersBetweenTheSidesIsOurs) {
  for (const ConvPass pass : {ConvPass::Forward, ConvPass::DataGrad, ConvPass::WeightGrad}) {
    for (const Sides2d& sides : {Sides2d{.top = 2}, Sides2d{.right = 1}, Sides2d{1, 1, 2, 0}}) {
      const CudnnPlanReport found = plan(conv1, pass, {.padding = sides});
      EXPECT_EQ(found.engine, "");
      EXPECT_EQ(found.why_none, "the padding differs between the sides");
    }
  }
  // No window reaches the last row and column: as with one on all sides.
  const CudnnPlanReport found =
      plan(conv1, ConvPass::Forward, {.stride = 2, .padding = Sides2d{.top = 1, .left = 1}});
  EXPECT_NE(found.engine, "") << found.why_none;
}

TEST_F(CudnnPlans, Tf32) {
  set_tf32(true);
  for (const Layer& layer : {conv1, conv2}) {
    expect_plan(layer, ConvPass::Forward, "forward");
    expect_plan(layer, ConvPass::DataGrad, "data gradient");
    expect_plan(layer, ConvPass::WeightGrad, "weight gradient");
  }
  set_tf32(false);
}

}  // namespace
}  // namespace warptape
