// Every measured case of an op fills a GPU: a launch that works on a large tensor has a
// block or more for each multiprocessor of an H100. Nothing is computed here.

#include <gtest/gtest.h>

#include "core/check.h"
#include "emulator/device/dry_run.h"
#include "tests/core/device/gpu_test.h"
#include "tools/kernel_cases.h"

namespace warptape {
namespace {

using gpu::emulated::DryLaunch;
using gpu::emulated::DryRun;

class KernelsFillAGpu : public GpuTest {};

constexpr int64_t multiprocessors = 132;
constexpr size_t large = size_t{16} << 20;

// Launches of the case that have to fill a GPU, and do.
int count_of_full(const MeasuredCase& measured, const Shape& shape, DType dtype) {
  SCOPED_TRACE(fmt::format("{} {} {}", measured.name, shape, to_string(dtype)));
  DryRun dry;
  const PreparedKernels prepared = measured.prepare(shape, dtype);
  dry.take_launches();
  prepared.run();
  int count = 0;
  for (const DryLaunch& launch : dry.take_launches()) {
    if (launch.largest_bytes >= large) {
      EXPECT_GE(launch.blocks(), multiprocessors) << launch.name;
      ++count;
    }
  }
  return count;
}

TEST_F(KernelsFillAGpu, InEveryMeasuredCase) {
  for (const MeasuredCase& measured : tools::measured_cases()) {
    if (measured.is_product) {
      continue;  // their plans are held by tests/kernels/cuda/matrix_plan_test.cpp
    }
    for (const int64_t bytes : {static_cast<int64_t>(large), tools::bench_bytes}) {
      const Shape shape = tools::shape_of_bytes(measured, bytes);
      EXPECT_GE(count_of_full(measured, shape, float32), 1) << measured.name;
    }
    const Shape shape = tools::shape_of_bytes(measured, large);
    EXPECT_GE(count_of_full(measured, shape, float64), 1) << measured.name;
  }
}

// The cases' shapes lie along a few lines: large tensors of other proportions.
TEST_F(KernelsFillAGpu, InTensorsOfAllProportions) {
  const std::vector<Shape> matrices = {{4, 1 << 20},  {64, 1 << 16}, {1 << 12, 1 << 10},
                                       {1 << 16, 64}, {1 << 20, 4},  {300000, 17},
                                       {17, 300001},  {3, 1400001},  {1400001, 3}};
  for (const char* name :
       {"sum", "max", "argmax", "softmax", "log_softmax", "softmax_dim0", "cross_entropy",
        "weight_norm", "grad_norm", "add", "dropout", "layer_norm", "group_norm", "batch_norm"}) {
    for (const Shape& shape : matrices) {
      EXPECT_GE(count_of_full(tools::find_measured_case(name), shape, float32), 1) << name;
    }
  }
  // Classes across memory.
  for (const Shape& shape : {Shape{8, 32000, 64}, {1, 1 << 16, 128}, {64, 21, 1 << 14}}) {
    EXPECT_GE(count_of_full(tools::find_measured_case("cross_entropy"), shape, float32), 1);
  }
}

}  // namespace
}  // namespace warptape
