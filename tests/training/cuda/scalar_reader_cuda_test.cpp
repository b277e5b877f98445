#include "training/scalar_reader.h"

#include <gtest/gtest.h>

#include "core/primitives.h"
#include "tests/core/device/gpu_test.h"
#include "tests/core/device/test_kernels.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

class GpuScalarReader : public GpuTest {};

TEST_F(GpuScalarReader, GivesWhatWasComputedInTheOrderOfPushes) {
  for (Device device : {cpu, cuda}) {
    const auto reader = ScalarReader::make(device);
    Tensor value = Tensor::zeros({1}, float32, device);
    for (int round = 0; round < 3; ++round) {  // buffers are used again
      for (int i = 1; i <= 4; ++i) {
        primitives::fill(value, i);
        const Tensor third = Tensor::full({}, i / 3.0, float64, device);
        reader->push({value, third, Tensor::full({1}, -i, int64, cpu)});
        primitives::fill(value, -1);  // after the copy
      }
      EXPECT_EQ(reader->waiting(), 4u);
      for (int i = 1; i <= 4; ++i) {
        EXPECT_EQ(reader->pop(), (std::vector<double>{double(i), i / 3.0, double(-i)}));
      }
    }
    EXPECT_EQ(reader->waiting(), 0u);
    reader->push({value});  // and destroyed
  }
}

// Else the host waits for every step, and the device then for the host.
TEST_F(GpuScalarReader, LetsOneStepBeUnderWay) {
  EXPECT_EQ(ScalarReader::make(cuda)->worth_waiting(), 1u);
  EXPECT_EQ(ScalarReader::make(cpu)->worth_waiting(), 0u);
}

TEST_F(GpuScalarReader, RaisesWhatKernelsReported) {
  static const int code = gpu::register_report("[clamp] element {index}: got {value}");
  const auto reader = ScalarReader::make(cuda);
  Tensor value = Tensor::full({1}, -3, float32, cuda);
  reader->push({value});
  EXPECT_EQ(reader->pop(), std::vector<double>{-3});
  test_kernels::clamp(value.mutable_data<float>(), 1, code, gpu::report_word(),
                      gpu::current_stream());
  reader->push({value});
  expect_throws<ValueError>([&] { reader->pop(); }, {"[clamp] element 0: got -3"});
  reader->push({value});
  EXPECT_EQ(reader->pop(), std::vector<double>{0});
}

}  // namespace
}  // namespace warptape
