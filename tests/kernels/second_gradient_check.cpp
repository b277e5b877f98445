#include "tests/kernels/second_gradient_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "tests/kernels/case_inputs.h"
#include "tests/kernels/case_run.h"

namespace warptape {
namespace {

constexpr double step = 1e-6;

// What second derivatives are taken by: the inputs that have gradients, and the output's gradient.
struct Point {
  std::vector<Tensor> inputs;
  Tensor seed;
};

std::vector<size_t> differentiable_inputs(const OpCase& op_case) {
  std::vector<size_t> result;
  for (size_t i = 0; i < op_case.inputs.size(); ++i) {
    if (differentiable(op_case, i)) {
      result.push_back(i);
    }
  }
  return result;
}

Tensor random_like(const Tensor& like, uint64_t seed) {
  Generator generator(seed);
  Tensor weights = Tensor::empty(like.shape(), like.dtype());
  fill_normal(weights, 0, 1, generator);
  return weights.to(like.device());
}

// The first gradients at a point, by backward(); undefined where there is none.
std::vector<Tensor> first_gradients(const OpCase& op_case, const Point& at) {
  Tape tape;
  std::vector<Tensor> inputs;
  for (const Tensor& input : at.inputs) {
    inputs.push_back(input.detach());
  }
  for (const size_t i : differentiable_inputs(op_case)) {
    tape.watch(inputs[i]);
  }
  tape.backward(op_case.run({inputs.begin(), inputs.end()}), at.seed.detach());
  std::vector<Tensor> result;
  for (const size_t i : differentiable_inputs(op_case)) {
    result.push_back(tape.gradient(inputs[i]));
  }
  return result;
}

double weighted_sum(const std::vector<Tensor>& gradients) {
  double sum = 0;
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (gradients[i].defined()) {
      const auto values = gradients[i].to_vector<double>();
      const auto weights = random_like(gradients[i], 7 + i).to_vector<double>();
      for (size_t k = 0; k < values.size(); ++k) {
        sum += values[k] * weights[k];
      }
    }
  }
  return sum;
}

Tensor with_moved(const Tensor& tensor_before, size_t element, double by) {
  std::vector<double> values = tensor_before.to_vector<double>();
  values[element] += by;
  return primitives::relayout(tensor(values, tensor_before.shape()), tensor_before.memory_format())
      .to(tensor_before.device());
}

// Of the weighted sum of first gradients.
double numeric(const OpCase& op_case, const Point& at, int input, size_t element) {
  double sums[2];
  for (const int side : {0, 1}) {
    Point moved = at;
    Tensor& own = input < 0 ? moved.seed : moved.inputs[static_cast<size_t>(input)];
    own = with_moved(own, element, side == 0 ? step : -step);
    sums[side] = weighted_sum(first_gradients(op_case, moved));
  }
  return (sums[0] - sums[1]) / (2 * step);
}

bool close(double a, double n) {
  return std::abs(a - n) <= 1e-6 * std::max({1.0, std::abs(a), std::abs(n)});
}

// Evenly spaced ones, and the one with the largest second gradient. Each costs two passes forward
// and back.
std::vector<size_t> sampled(const std::vector<double>& gradient, Device device) {
  const size_t most = is_sanitized() ? 1 : device == cpu ? 5 : 2;
  const size_t stride = std::max<size_t>(1, gradient.size() / most);
  std::vector<size_t> elements;
  for (size_t i = 0; i < gradient.size(); i += stride) {
    elements.push_back(i);
  }
  const auto smaller = [](double a, double b) { return std::abs(a) < std::abs(b); };
  const auto largest = std::max_element(gradient.begin(), gradient.end(), smaller);
  elements.push_back(static_cast<size_t>(largest - gradient.begin()));
  return elements;
}

void check_element_by_element(const OpCase& op_case, const Point& at, int input,
                              const std::vector<double>& analytic) {
  bool factor_shows = false;
  double largest = 0;
  for (const size_t element : sampled(analytic, at.seed.device())) {
    const double a = analytic[element];
    const double n = numeric(op_case, at, input, element);
    EXPECT_TRUE(close(a, n)) << (input < 0 ? "the output's gradient" : "input ")
                             << std::max(input, 0) << ", element " << element
                             << ": the second gradient is " << a << ", by differences " << n;
    factor_shows = factor_shows || !close(1.01 * a, n);
    largest = std::max(largest, std::abs(n));
  }
  // A hundredth of less than that is not seen.
  EXPECT_TRUE(factor_shows || largest < 1e-3) << "input " << input << ": a wrong factor would pass";
}

}  // namespace

void check_second_gradients(const OpCase& op_case, Device device) {
  SCOPED_TRACE("second gradients");
  Point at{make_inputs(op_case, float64, device), {}};
  const std::vector<size_t> wanted = differentiable_inputs(op_case);
  Tape tape;
  for (const size_t i : wanted) {
    tape.watch(at.inputs[i]);
  }
  const Tensor y = op_case.run({at.inputs.begin(), at.inputs.end()});
  if (y.numel() == 0) {
    return;
  }
  at.seed = random_like(y, 99);
  tape.watch(at.seed);
  std::vector<Operand> xs;
  for (const size_t i : wanted) {
    xs.emplace_back(at.inputs[i]);
  }
  if (!op_case.differentiable_twice) {
    EXPECT_THROW(tape.gradients(y, xs, {.seed = at.seed, .create_graph = true}), NotDifferentiable);
    return;
  }
  const std::vector<Tensor> first = tape.gradients(y, xs, {.seed = at.seed, .create_graph = true});
  const std::vector<Tensor> of_backward = first_gradients(op_case, at);
  for (size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_EQ(first[i].defined(), of_backward[i].defined()) << "input " << wanted[i];
    if (first[i].defined() && first[i].numel() > 0 && !is_nothing(of_backward[i])) {
      EXPECT_EQ(first[i].memory_format(), of_backward[i].memory_format());
      EXPECT_TRUE(matches(first[i], of_backward[i], Tolerance::Reduction, float64))
          << "input " << wanted[i];
    }
  }
  xs.emplace_back(at.seed);
  std::vector<std::vector<double>> second(xs.size());
  for (size_t i = 0; i < first.size(); ++i) {
    if (!first[i].defined() || first[i].tape_handle().tape != tape.id()) {
      continue;  // a constant
    }
    const std::vector<Tensor> parts =
        tape.gradients(first[i], xs, {.seed = random_like(first[i], 7 + i), .keep = true});
    for (size_t k = 0; k < xs.size(); ++k) {
      if (parts[k].defined()) {
        const std::vector<double> part = parts[k].to_vector<double>();
        second[k].resize(part.size());
        std::transform(part.begin(), part.end(), second[k].begin(), second[k].begin(),
                       std::plus<>());
      }
    }
  }
  for (size_t k = 0; k < xs.size(); ++k) {
    second[k].resize(static_cast<size_t>(xs[k].numel()));
    if (!second[k].empty()) {
      const bool is_seed = k == wanted.size();
      check_element_by_element(op_case, at, is_seed ? -1 : static_cast<int>(wanted[k]), second[k]);
    }
  }
}

}  // namespace warptape
