// How the kernels of optimizers are measured. They are no ops: tests of training hold their values.

#include "core/device/on_device.h"
#include "kernels/cases/measured.h"
#include "kernels/optimizer/optimizer_step.h"

namespace warptape {
namespace {

// One step, not the first, which finds its buffers empty. buffers: those that the rule uses.
template <class Constants>
MeasuredCase step_case(const std::string& name, const Constants& constants, size_t buffers) {
  const auto prepare = [=](const Shape& shape, DType dtype) {
    StepState state{.learning_rate = Tensor::full({1}, 1e-3, float64, cuda),
                    .steps = Tensor::full({1}, 1, int64, cuda),
                    .arrivals = Tensor::zeros({1}, int64, cuda)};
    ParameterUpdate update{
        .value = on_cuda(shape, dtype), .grad = on_cuda(shape, dtype), .buffers = {}, .entry = 0};
    for (size_t k = 0; k < buffers; ++k) {
      update.buffers[k] = on_cuda(shape, dtype);
    }
    const auto run = [=]() mutable {
      const std::span<ParameterUpdate> updates(&update, 1);
      on_device(
          "optimizer", cuda, [&] { optimizer_step_cpu(updates, constants, state); },
          [&] { optimizer_step_cuda(updates, constants, state); });
    };
    return all_wide(run, static_cast<int64_t>(3 + 2 * buffers) * bytes_of(shape, dtype));
  };
  return {name, "one step", {512, 1024}, prepare};
}

PreparedKernels grad_norm(const Shape& shape, DType dtype) {
  const auto run = [grad = on_cuda(shape, dtype),
                    result = Tensor::empty({2}, float64, cuda)]() mutable {
    const std::span<const Tensor> tensors(&grad, 1);
    on_device(
        "grad_norm", cuda, [&] { clip_factor_cpu(tensors, 1, result); },
        [&] { clip_factor_cuda(tensors, 1, result); });
  };
  return all_wide(run, bytes_of(shape, dtype));
}

}  // namespace

void optimizer_cases(CaseTable& table) {
  const SgdConstants momentum{
      .momentum = 0.9, .dampening = 0, .weight_decay = 0, .nesterov = false};
  const RmsPropConstants rms{
      .alpha = 0.99, .eps = 1e-8, .weight_decay = 0, .momentum = 0, .centered = false};
  AdamConstants adam{
      .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0, .decoupled = false};
  table.measured.push_back(step_case("sgd", momentum, 1));
  table.measured.push_back(step_case("rmsprop", rms, 1));
  table.measured.push_back(step_case("adam", adam, 2));
  adam.weight_decay = 0.01;
  adam.decoupled = true;
  table.measured.push_back(step_case("adamw", adam, 2));
  table.measured.push_back(step_case("average", AverageConstants{.decay = 0.999}, 0));
  table.measured.push_back({"grad_norm", "of one parameter", {512, 1024}, grad_norm});
}

}  // namespace warptape
