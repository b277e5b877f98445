// Random ops, forward and backward, on both devices: the same values, or both refuse. Short by
// default; WARPTAPE_RANDOM_OPS=N runs N of them, from WARPTAPE_RANDOM_OPS_SEED on.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "core/check.h"
#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/case_run.h"
#include "tests/kernels/cuda/random_ops.h"
#include "tests/support/allocations.h"

namespace warptape {
namespace {

class DevicesAgree : public GpuTest {};

// What was computed, in logical order, or why nothing was.
struct Outcome {
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::string error;
};

// A copy on a device, in a storage of its own or behind another row of a larger one, where most
// addresses are not aligned to packs.
Tensor place(const Tensor& values, Device device, bool behind_a_row) {
  if (!behind_a_row || values.rank() == 0 || values.numel() == 0) {
    return values.to(device).clone();
  }
  Shape larger = values.shape();
  ++larger[0];
  Tensor part =
      Tensor::empty(larger, values.dtype(), device, values.memory_format()).slice(1, larger[0]);
  primitives::copy(values.to(device), part);
  return part;
}

// How a run is made beside its op; the same on both devices.
struct Setting {
  uint64_t bits;
  bool flip(int which) const { return (bits >> which) % 2 == 1; }
};

Outcome run(const RandomOp& op, Device device, Setting setting) {
  Outcome outcome;
  const PoisonedAllocations poisoned;  // what nobody writes is a NaN
  try {
    Generator generator(setting.bits);
    std::vector<Parameter> parameters;
    std::vector<Operand> inputs;
    for (size_t i = 0; i < op.inputs.size(); ++i) {
      const int bit = static_cast<int>(4 * i);
      parameters.emplace_back(place(op.inputs[i], device, setting.flip(bit)));
      const Tensor old = randn(op.inputs[i].shape(), op.inputs[i].dtype(), generator);
      parameters.back().set_requires_grad(!setting.flip(bit + 1) || !setting.flip(bit + 2));
      if (setting.flip(bit + 3)) {  // the gradient adds to what is there
        ParameterState& state = *parameters.back().state();
        state.grad = place(primitives::relayout(old, op.inputs[i].memory_format()), device,
                           setting.flip(bit + 2));
        state.grad_is_empty = false;
      }
    }
    for (const Parameter& parameter : parameters) {
      inputs.emplace_back(parameter);
    }
    std::vector<Tensor> constants;
    for (const Tensor& constant : op.constants) {
      constants.push_back(constant.to(device));
    }
    Tape tape;
    const Tensor y = op.run(inputs, constants);
    outcome.tensors.emplace_back("y", y.to(cpu));
    if (op.differentiable && y.tape_handle().tape == tape.id()) {
      tape.backward(y, randn(y.shape(), y.dtype(), generator).to(device));
      for (size_t i = 0; i < parameters.size(); ++i) {
        const Tensor grad = parameters[i].grad();
        outcome.tensors.emplace_back(fmt::format("gradient of input {}", i),
                                     grad.defined() ? grad.to(cpu) : Tensor());
      }
    }
  } catch (const Error& error) {
    outcome.error = error.what();
  }
  return outcome;
}

// Sums of no more than some hundred terms, whose rounding is a few parts of their largest.
std::string difference(const Tensor& got, const Tensor& wanted) {
  if (!got.defined() || !wanted.defined()) {
    return got.defined() == wanted.defined() ? "" : "one of both is undefined";
  }
  if (got.shape() != wanted.shape() || got.dtype() != wanted.dtype()) {
    return fmt::format("{} {} and {} {}", got.shape(), to_string(got.dtype()), wanted.shape(),
                       to_string(wanted.dtype()));
  }
  const auto doubles = [](const Tensor& x) {
    return primitives::cast(x, float64).to_vector<double>();
  };
  const std::vector<double> a = doubles(got);
  const std::vector<double> b = doubles(wanted);
  double largest = 1;
  for (const double value : b) {
    largest = std::isfinite(value) ? std::max(largest, std::abs(value)) : largest;
  }
  const double epsilon = !is_floating(got.dtype()) ? 0
                         : got.dtype() == float64  ? std::numeric_limits<double>::epsilon()
                                                   : std::numeric_limits<float>::epsilon();
  for (size_t i = 0; i < a.size(); ++i) {
    const bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])) ||
                      std::abs(a[i] - b[i]) <= 256 * epsilon * largest;
    if (!same) {
      return fmt::format("element {} of {}: {} and {}", i, got.shape(), a[i], b[i]);
    }
  }
  return "";
}

// Empty where both agree.
std::string disagreement(const Outcome& on_cuda, const Outcome& on_cpu) {
  if (on_cuda.error.empty() != on_cpu.error.empty()) {
    return fmt::format("cuda: {}; cpu: {}", on_cuda.error.empty() ? "ran" : on_cuda.error,
                       on_cpu.error.empty() ? "ran" : on_cpu.error);
  }
  if (on_cuda.tensors.size() != on_cpu.tensors.size()) {
    return "not as many gradients";
  }
  for (size_t i = 0; i < on_cuda.tensors.size(); ++i) {
    const std::string found = difference(on_cuda.tensors[i].second, on_cpu.tensors[i].second);
    if (!found.empty()) {
      return on_cuda.tensors[i].first + ": " + found;
    }
  }
  return "";
}

uint64_t number_of(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST_F(DevicesAgree, OnRandomOps) {
  const uint64_t first = number_of("WARPTAPE_RANDOM_OPS_SEED", 1);
  // Sanitizers see how kernels run, which a third of them and the ops' own cases show as well.
  const uint64_t count = number_of("WARPTAPE_RANDOM_OPS", is_sanitized() ? 20 : 60);
  const gpu::Stream stream;
  uint64_t ran = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    const RandomOp op = random_op(seed);
    std::string shapes;
    for (const Tensor& input : op.inputs) {
      shapes += fmt::format(" {}{}", input.shape(),
                            input.memory_format() == MemoryFormat::ChannelsLast ? "*" : "");
    }
    const Setting setting{seed * 0x9E3779B97F4A7C15u >> 8};
    const Outcome on_cpu = run(op, cpu, setting);
    {
      // On a stream of its own, after others: an op that keeps the first one is out of order.
      const gpu::StreamScope scope(stream);
      EXPECT_EQ(disagreement(run(op, cuda, setting), on_cpu), "") << op.text << ", on a stream";
    }
    EXPECT_EQ(disagreement(run(op, cuda, setting), on_cpu), "")
        << op.text << ", inputs" << shapes << " (*: channels-last)\n"
        << "again: WARPTAPE_RANDOM_OPS_SEED=" << seed << " WARPTAPE_RANDOM_OPS=1";
    ran += on_cpu.error.empty();
  }
  // Shapes and options are drawn apart, so that some do not fit; most do.
  EXPECT_TRUE(count < 60 || 4 * ran > 3 * count) << ran << " of " << count << " ran";
}

}  // namespace
}  // namespace warptape
