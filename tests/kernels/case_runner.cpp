// Runs the case tables, on every device that this build has and the op has kernels for. What is
// checked of a case:
// - forward against its reference, in every floating dtype, with buffers that hold NaN
// - the same with a tape and without, and in float32 on the CPU with oneDNN and without
// - backward in float64 by central differences, for gradients that are written or added to; in
//   float32 and bfloat16 by float64
// - gradients of gradients in float64 by central differences
// - with an input that wants no gradient
// - with one tensor as two inputs, where shapes allow that
// - with tensors that begin one element behind an aligned address (case_variants.h)
// - with inputs of rank 3 and more in both memory formats
// And of a measured case, that its kernels run. An op without kernels for "cuda" has to say so.
// ThreadSanitizer sees races, not values: under it a case is run in float32 and in its variants
// alone.

#include "tests/kernels/case_runner.h"

#include <gtest/gtest.h>

#include "core/device/gpu.h"
#include "core/device/on_device.h"
#include "core/tape.h"
#include "kernels/cases/case_tables.h"
#include "kernels/cases/measured.h"
#include "kernels/vendor/onednn.h"
#include "tests/kernels/case_inputs.h"
#include "tests/kernels/case_variants.h"
#include "tests/kernels/gradient_check.h"
#include "tests/kernels/second_gradient_check.h"
#include "tests/support/allocations.h"

namespace warptape {
namespace {

#ifdef __SANITIZE_THREAD__
constexpr bool races_are_watched = true;
#else
constexpr bool races_are_watched = false;
#endif

std::vector<Operand> operands(const std::vector<Tensor>& tensors) {
  return {tensors.begin(), tensors.end()};
}

void check_forward(const OpCase& op_case, DType dtype, Device device) {
  SCOPED_TRACE(std::string("forward in ") + to_string(dtype));
  const Tensor reference = op_case.reference(as_reference(make_inputs(op_case, dtype, cpu)));
  const std::vector<Tensor> inputs = make_inputs(op_case, dtype, device);
  const double roundings = std::max(op_case.bfloat16_roundings / 2, 1.0);
  const PoisonedAllocations poison;
  const Tensor result = op_case.run(operands(inputs));
  EXPECT_EQ(result.tape_handle().tape, 0u);
  EXPECT_TRUE(matches(result, reference, op_case.tolerance, dtype, roundings));
  if (!op_case.differentiable) {
    return;
  }
  Tape tape;
  std::vector<Tensor> watched = inputs;
  for (Tensor& tensor : watched) {
    if (is_floating(tensor.dtype())) {
      tape.watch(tensor);
    }
  }
  const Tensor recorded = op_case.run(operands(watched));
  EXPECT_TRUE(matches(recorded, reference, op_case.tolerance, dtype, roundings)) << "with a tape";
  EXPECT_EQ(recorded.tape_handle().tape, tape.id()) << "the result is not recorded";
}

class CaseTest : public testing::Test {
 public:
  CaseTest(OpCase op_case, Device device) : case_(std::move(op_case)), device_(device) {}
  void TestBody() override {
    check_forward(case_, float32, device_);
    if constexpr (races_are_watched) {
      // Kernels of both dtypes are the same templates, and variants run all of them, forward and
      // backward.
      check_variants(case_, device_);
      return;
    }
    check_forward(case_, float64, device_);
    check_forward(case_, bfloat16, device_);
    if (device_ == cpu && onednn_is_built_in()) {
      set_onednn_used(false);
      SCOPED_TRACE("loops instead of oneDNN");
      check_forward(case_, float32, device_);
      check_forward(case_, bfloat16, device_);
      set_onednn_used(true);
    }
    if (case_.differentiable) {
      const PoisonedAllocations poison;
      check_gradients(case_, device_);
      check_second_gradients(case_, device_);
      check_float32_gradients(case_, device_);
      check_bfloat16_gradients(case_, device_);
    }
    const PoisonedAllocations poison;
    check_variants(case_, device_);
  }

 private:
  OpCase case_;
  Device device_;
};

class NoKernelTest : public testing::Test {
 public:
  NoKernelTest(OpCase op_case, Device device) : case_(std::move(op_case)), device_(device) {}
  void TestBody() override {
    const std::vector<Tensor> inputs = make_inputs(case_, float32, device_);
    EXPECT_THROW(case_.run(operands(inputs)), DeviceError)
        << "the op runs on " << to_string(device_) << ": its cases should, too";
  }

 private:
  OpCase case_;
  Device device_;
};

class ErrorTest : public testing::Test {
 public:
  explicit ErrorTest(ErrorCase error) : error_(std::move(error)) {}
  void TestBody() override {
    try {
      error_.run();
      FAIL() << "nothing was thrown";
    } catch (const Error& error) {
      for (const std::string& part : error_.mentions) {
        EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
            << "\"" << part << "\" is not in: " << error.what();
      }
    }
  }

 private:
  ErrorCase error_;
};

class MeasuredTest : public testing::Test {
 public:
  explicit MeasuredTest(MeasuredCase measured) : measured_(std::move(measured)) {}
  void TestBody() override {
    EXPECT_GE(bytes_of(measured_.shape, float32), 1 << 20) << "the default shape is too small";
    Shape shape = measured_.shape;
    shape[0] = std::max<int64_t>(1, shape[0] / 128);
    const PreparedKernels prepared = measured_.prepare(shape, float32);
    EXPECT_GT(prepared.wide_bytes, 0);
    EXPECT_LE(prepared.wide_bytes, prepared.counted_bytes);
    prepared.run();
    on_device(
        "measured", cuda, [] {}, [] { gpu::synchronize(); });
  }

 private:
  MeasuredCase measured_;
};

template <class TestType, class... Arguments>
void add_test(const CaseTable& table, const std::string& name, const Arguments&... arguments) {
  testing::RegisterTest(("op_" + table.op).c_str(), name.c_str(), nullptr, nullptr, __FILE__,
                        __LINE__,
                        [arguments...]() -> testing::Test* { return new TestType(arguments...); });
}

}  // namespace

void register_case_tables() {
  const bool on_cuda = is_available(DeviceType::CUDA);
  for (const CaseTable& table : case_tables()) {
    for (const OpCase& op_case : table.cases) {
      add_test<CaseTest>(table, op_case.name, op_case, cpu);
      if (on_cuda && table.has_cuda) {
        add_test<CaseTest>(table, op_case.name + "_cuda", op_case, cuda);
      }
    }
    if (on_cuda && !table.has_cuda) {
      add_test<NoKernelTest>(table, "no_kernel_cuda", table.cases.front(), cuda);
    }
    for (const ErrorCase& error : table.errors) {
      add_test<ErrorTest>(table, "error_" + error.name, error);
    }
    for (const MeasuredCase& measured : table.measured) {
      if (on_cuda && !measured.is_product) {  // on an emulated device those take long
        add_test<MeasuredTest>(table, "measured_" + measured.name, measured);
      }
    }
  }
}

}  // namespace warptape
