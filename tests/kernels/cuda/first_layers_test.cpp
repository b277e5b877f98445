// Convolutions of images of few channels in bfloat16: products of copies that have whole packs.
// Operands are whole numbers, so that sums are exact whatever their order, and the CPU's bits are
// those wanted.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/parameter.h"
#include "core/primitives.h"
#include "core/tape.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/max_pool2d/max_pool2d.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/sum/sum.h"
#include "kernels/vendor/gpu_libraries.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/cuda/whole_numbers.h"
#include "tools/plan_notes.h"

namespace warptape {
namespace {

class FirstLayers : public GpuTest {
 protected:
  FirstLayers() { set_gpu_libraries(GpuLibraries::Off); }
  ~FirstLayers() override { set_gpu_libraries(before_); }

 private:
  const GpuLibraries before_ = gpu_libraries();
};

Tensor whole(const Shape& shape, unsigned seed) {
  return tensor(WholeNumbers(seed).make<float>(shape.numel()), shape);
}

struct Case {
  Shape x;
  Shape weight;
  bool pools;
  DType dtype = bfloat16;
};

// y, and the gradients of weight and bias.
std::vector<std::vector<float>> results_of(const Case& test, Device device) {
  const auto parameter = [&](const Tensor& values) {
    return Parameter(primitives::cast(values, test.dtype).to(device));
  };
  const Tensor x = primitives::cast(whole(test.x, 1), test.dtype).to(device);
  Parameter weight = parameter(whole(test.weight, 2));
  Parameter bias = parameter(whole({test.weight[0]}, 3));
  Tape tape;
  Tensor y = relu(conv2d(x, weight, bias, {.padding = test.weight[2] / 2}));
  if (test.pools) {
    y = max_pool2d(y, {.kernel_size = 2});
  }
  tape.backward(sum(y.to(float32)));
  const auto values = [](const Tensor& from) {
    return primitives::cast(from.to(cpu), float32).to_vector<float>();
  };
  return {values(y), values(weight.grad()), values(bias.grad())};
}

TEST_F(FirstLayers, AreOfWholePacksAndOfTheCpusBits) {
  for (const Case& test :
       {Case{{5, 3, 32, 32}, {64, 3, 3, 3}, true}, Case{{5, 3, 32, 32}, {64, 3, 3, 3}, false},
        Case{{2, 1, 29, 33}, {64, 1, 9, 9}, false}, Case{{3, 7, 20, 20}, {128, 7, 3, 3}, true}}) {
    SCOPED_TRACE(std::to_string(test.x[1]) + (test.pools ? " channels, pooled" : " channels"));
    const std::vector<std::vector<float>> wanted = results_of(test, cpu);
    const PlanNotes notes;
    EXPECT_EQ(results_of(test, cuda), wanted);
    ASSERT_EQ(notes.plans().size(), 2u);
    for (const std::string& plan : notes.plans()) {
      EXPECT_NE(plan.find("packs of 8"), std::string::npos) << plan;
    }
  }
}

// Where copies would cost more than they save, and in float.
TEST_F(FirstLayers, OthersAreMadeOfSingleElements) {
  for (const Case& test :
       {Case{{1, 3, 8, 8}, {8, 3, 3, 3}, false}, Case{{1, 3, 8, 8}, {6, 3, 3, 3}, true},
        Case{{5, 3, 32, 32}, {64, 3, 3, 3}, true, float32}}) {
    const std::vector<std::vector<float>> wanted = results_of(test, cpu);
    const PlanNotes notes;
    EXPECT_EQ(results_of(test, cuda), wanted);
    ASSERT_EQ(notes.plans().size(), 2u);
    for (const std::string& plan : notes.plans()) {
      EXPECT_NE(plan.find("single elements"), std::string::npos) << plan;
    }
  }
}

}  // namespace
}  // namespace warptape
