#include "tests/kernels/case_run.h"

#include <cmath>
#include <cstdlib>

#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "tests/kernels/case_inputs.h"

namespace warptape {

bool is_sanitized() {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  return true;
#else
  return std::getenv("WARPTAPE_GRADIENT_SAMPLES") != nullptr;
#endif
}

bool differentiable(const OpCase& op_case, size_t i) {
  return op_case.differentiable && op_case.inputs[i].needs_grad &&
         !is_of_integers(op_case.inputs[i].fill);
}

Tensor output_weights(const Tensor& output) {
  Generator generator(99);
  Tensor weights = Tensor::empty(output.shape(), output.dtype());
  fill_normal(weights, 0, 1, generator);
  return weights.to(output.device());
}

namespace {

Run run_backward(const OpCase& op_case, std::vector<Tensor> inputs, int wanted, bool rounds) {
  Run run;
  run.inputs = std::move(inputs);
  Tape tape;
  for (size_t i = 0; i < run.inputs.size(); ++i) {
    if (differentiable(op_case, i) && (wanted < 0 || wanted == static_cast<int>(i))) {
      tape.watch(run.inputs[i]);
    }
  }
  run.output = op_case.run({run.inputs.begin(), run.inputs.end()});
  Tensor weights = output_weights(run.output);
  if (rounds) {
    weights = primitives::cast(primitives::cast(weights, bfloat16), run.output.dtype());
  }
  tape.backward(run.output, weights);
  for (const Tensor& input : run.inputs) {
    const bool watched = input.tape_handle().tape == tape.id();
    run.gradients.push_back(watched ? tape.gradient(input) : Tensor());
  }
  return run;
}

}  // namespace

Run run_backward(const OpCase& op_case, DType dtype, Device device, int wanted) {
  return run_backward(op_case, make_inputs(op_case, dtype, device), wanted, false);
}

Run run_rounded_backward(const OpCase& op_case, DType dtype, Device device) {
  return run_backward(op_case, make_rounded_inputs(op_case, dtype, device), -1, true);
}

bool is_nothing(const Tensor& gradient) {
  double sum = 0;
  for (double value : gradient.to_vector<double>()) {
    sum += value * value;
  }
  return std::sqrt(sum) < 1e-9;
}

}  // namespace warptape
