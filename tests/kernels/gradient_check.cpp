#include "tests/kernels/gradient_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "core/check.h"
#include "core/primitives.h"
#include "core/tape.h"
#include "tests/kernels/case_inputs.h"
#include "tests/kernels/case_run.h"

namespace warptape {
namespace {

constexpr double step = 1e-6;
// Per input. Each costs two forward passes, in which sanitizers see nothing new.
int64_t most_elements() {
  const int64_t usual = is_sanitized() ? 1 : 80;
  const char* const text = std::getenv("WARPTAPE_GRADIENT_SAMPLES");
  const int64_t count = text == nullptr ? usual : std::atoll(text);
  check<ValueError>(count >= 1, "WARPTAPE_GRADIENT_SAMPLES: got \"{}\", wanted 1 or more", text);
  return count;
}

double weighted_sum(const Tensor& output, const std::vector<double>& weights) {
  const std::vector<double> values = output.to_vector<double>();
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    sum += values[i] * weights[i];
  }
  return sum;
}

bool close(double a, double n) {
  return std::abs(a - n) <= 1e-6 * std::max({1.0, std::abs(a), std::abs(n)});
}

// Evenly spaced ones, and the one with the largest gradient, in which a wrong factor shows best.
std::vector<int64_t> sample_elements(const std::vector<double>& gradient) {
  const auto count = static_cast<int64_t>(gradient.size());
  std::vector<int64_t> elements;
  const int64_t stride = std::max<int64_t>(1, count / most_elements());
  for (int64_t i = 0; i < count; i += stride) {
    elements.push_back(i);
  }
  const auto smaller = [](double a, double b) { return std::abs(a) < std::abs(b); };
  const auto largest = std::max_element(gradient.begin(), gradient.end(), smaller);
  if (largest != gradient.end()) {
    elements.push_back(largest - gradient.begin());
  }
  return elements;
}

double numeric_gradient(const OpCase& op_case, const std::vector<Tensor>& inputs, size_t input,
                        int64_t element, const std::vector<double>& weights) {
  double sums[2];
  for (int side = 0; side < 2; ++side) {
    std::vector<Operand> operands;
    for (size_t i = 0; i < inputs.size(); ++i) {
      Tensor copy = inputs[i].detach();
      if (i == input) {
        std::vector<double> values = copy.to_vector<double>();
        values[static_cast<size_t>(element)] += side == 0 ? step : -step;
        copy = primitives::relayout(tensor(values, copy.shape()), copy.memory_format())
                   .to(copy.device());
      }
      operands.emplace_back(copy);
    }
    sums[side] = weighted_sum(op_case.run(operands), weights);
  }
  return (sums[0] - sums[1]) / (2 * step);
}

void check_against_differences(const OpCase& op_case, const Run& run) {
  const std::vector<double> weights = output_weights(run.output).to_vector<double>();
  for (size_t i = 0; i < run.inputs.size(); ++i) {
    if (!run.gradients[i].defined()) {
      ASSERT_FALSE(differentiable(op_case, i)) << "input " << i << " got no gradient";
      continue;
    }
    const std::vector<double> analytic = run.gradients[i].to_vector<double>();
    bool sign_shows = false;
    bool factor_shows = false;
    bool all_zero = true;
    for (int64_t element : sample_elements(analytic)) {
      const double a = analytic[static_cast<size_t>(element)];
      const double n = numeric_gradient(op_case, run.inputs, i, element, weights);
      EXPECT_TRUE(close(a, n)) << "input " << i << ", element " << element << ": backward gave "
                               << a << ", differences " << n;
      sign_shows = sign_shows || !close(-a, n);
      factor_shows = factor_shows || !close(1.01 * a, n);
      all_zero = all_zero && std::abs(n) < 1e-9;
    }
    EXPECT_TRUE(sign_shows || all_zero) << "input " << i << ": a wrong sign would pass";
    EXPECT_TRUE(factor_shows || all_zero) << "input " << i << ": a wrong factor would pass";
  }
}

void expect_equal(const Tensor& a, const Tensor& b, const char* what) {
  ASSERT_TRUE(a.defined() && b.defined()) << what;
  EXPECT_TRUE(matches(a, b, Tolerance::Pointwise, float64)) << what;
}

// Twice the same op on one tape: the second gradient is added to the first.
void check_accumulation(const OpCase& op_case, const Run& once) {
  const Device device = once.output.device();
  std::vector<Tensor> inputs = make_inputs(op_case, float64, device);
  Tape tape;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (differentiable(op_case, i)) {
      tape.watch(inputs[i]);
    }
  }
  const std::vector<Operand> operands(inputs.begin(), inputs.end());
  const Tensor first = op_case.run(operands);
  const Tensor second = op_case.run(operands);
  const Tensor weights = output_weights(first);
  tape.backward(first, weights, {.keep = true});
  // Both uses in one walk: a sum of the two outputs, recorded by hand.
  Tensor both = Tensor::empty_like(first);
  primitives::copy(first, both);
  const Operand operand_first(first);
  const Operand operand_second(second);
  tape.record("both", {&operand_first, &operand_second}, {&both}, [](Backward& context) {
    context.give(0, context.grad());
    context.give(1, context.grad());
  });
  tape.backward(both, weights);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!once.gradients[i].defined()) {
      continue;
    }
    Tensor twice = once.gradients[i].clone();
    primitives::add(once.gradients[i], twice);
    expect_equal(tape.gradient(inputs[i]), twice, "gradient of two uses");
  }
}

// Into the gradient of a parameter: written if it is empty, else added to.
void check_parameters(const OpCase& op_case, const Run& once) {
  const Device device = once.output.device();
  const std::vector<Tensor> inputs = make_inputs(op_case, float64, device);
  std::vector<Parameter> parameters;
  for (const Tensor& input : inputs) {
    parameters.emplace_back(input);
  }
  for (int pass = 0; pass < 2; ++pass) {
    Tape tape;
    std::vector<Operand> operands;
    for (size_t i = 0; i < inputs.size(); ++i) {
      operands.push_back(differentiable(op_case, i) ? Operand(parameters[i]) : Operand(inputs[i]));
    }
    const Tensor output = op_case.run(operands);
    tape.backward(output, output_weights(output));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!once.gradients[i].defined()) {
      continue;
    }
    Tensor twice = once.gradients[i].clone();
    primitives::add(once.gradients[i], twice);
    expect_equal(parameters[i].grad(), twice, "gradient of a parameter after two passes");
  }
}

// One tensor as the first two inputs, where their shapes and fills are the same.
void check_shared_input(const OpCase& op_case, Device device) {
  const auto& in = op_case.inputs;
  if (in.size() < 2 || !(in[0].shape == in[1].shape) || in[0].format != in[1].format ||
      !differentiable(op_case, 0) || !differentiable(op_case, 1)) {
    return;
  }
  std::vector<Tensor> separate = make_inputs(op_case, float64, device);
  separate[0] = separate[1].clone();  // the second's fill may be the pickier one
  std::vector<Tensor> shared = {separate[1].detach(), Tensor()};
  Tensor sum;
  Tensor weights;
  {
    Tape tape;
    tape.watch(separate[0]);
    tape.watch(separate[1]);
    const Tensor y = op_case.run({separate.begin(), separate.end()});
    weights = output_weights(y);
    tape.backward(y, weights);
    sum = tape.gradient(separate[0]).clone();
    primitives::add(tape.gradient(separate[1]), sum);
  }
  Tape tape;
  tape.watch(shared[0]);
  shared[1] = shared[0];
  for (size_t i = 2; i < separate.size(); ++i) {
    shared.push_back(separate[i]);
  }
  tape.backward(op_case.run({shared.begin(), shared.end()}), weights);
  const Tensor gradient = tape.gradient(shared[0]);
  ASSERT_TRUE(gradient.defined());
  const std::vector<double> got = gradient.to_vector<double>();
  const std::vector<double> wanted = sum.to_vector<double>();
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(close(got[i], wanted[i])) << "one tensor as two inputs: got " << got[i]
                                          << ", wanted " << wanted[i] << " at element " << i;
  }
}

}  // namespace

void check_gradients(const OpCase& op_case, Device device) {
  SCOPED_TRACE("gradients");
  const Run once = run_backward(op_case, float64, device, -1);
  check_against_differences(op_case, once);
  if (once.output.numel() == 0) {
    return;
  }
  check_accumulation(op_case, once);
  check_parameters(op_case, once);
  check_shared_input(op_case, device);
  for (size_t i = 0; i < op_case.inputs.size(); ++i) {
    if (differentiable(op_case, i) && op_case.inputs.size() > 1) {
      const Run alone = run_backward(op_case, float64, device, static_cast<int>(i));
      expect_equal(alone.gradients[i], once.gradients[i], "gradient of one input alone");
    }
  }
}

void check_bfloat16_gradients(const OpCase& op_case, Device device) {
  SCOPED_TRACE("bfloat16 gradients");
  const Run narrow = run_rounded_backward(op_case, bfloat16, device);
  const Run wide = run_rounded_backward(op_case, float64, device);
  for (size_t i = 0; i < narrow.inputs.size(); ++i) {
    const Tensor& gradient = narrow.gradients[i];
    if (!gradient.defined() || gradient.numel() == 0 || is_nothing(wide.gradients[i])) {
      continue;
    }
    EXPECT_EQ(gradient.dtype(), bfloat16);
    EXPECT_TRUE(matches(gradient, wide.gradients[i], Tolerance::Reduction, bfloat16,
                        op_case.bfloat16_roundings))
        << "input " << i;
  }
}

void check_float32_gradients(const OpCase& op_case, Device device) {
  SCOPED_TRACE("float32 gradients");
  const Run narrow = run_backward(op_case, float32, device, -1);
  const Run wide = run_backward(op_case, float64, device, -1);
  for (size_t i = 0; i < narrow.inputs.size(); ++i) {
    if (narrow.gradients[i].defined() && narrow.gradients[i].numel() > 0) {
      if (is_nothing(wide.gradients[i])) {
        continue;
      }
      EXPECT_TRUE(matches(narrow.gradients[i], wide.gradients[i], Tolerance::Reduction, float32))
          << "input " << i;
    }
  }
}

}  // namespace warptape
