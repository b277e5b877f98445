#pragma once
// Optimizer steps for all parameters of a model in one call. Not ops: nothing here is recorded.

#include <array>
#include <optional>
#include <span>

#include "core/tensor.h"
#include "kernels/optimizer/constraint.h"
#include "kernels/optimizer/optimizer_rules.h"

namespace warptape {

// What weight norm makes of a value (kernels/weight_norm): w, like the value or in bfloat16, and 1
// over the norms. g: its other parameter, as it is when the value is updated, and which of the
// call's updates that is; -1: none.
struct NormalizedWeight {
  Tensor g, w, inv_norm;
  int64_t update_of_g = -1;
};

// One parameter: all tensors have one dtype, and as many elements in one order in memory.
struct ParameterUpdate {
  Tensor value;                              // updated
  Tensor grad;                               // read
  std::array<Tensor, most_buffers> buffers;  // the rule's; undefined where it uses none
  int64_t entry;                             // its place in StepState::steps
  // What clip_factor left, on the same device: the step takes the gradient as scale_by_factor would
  // leave it. Undefined: as it is.
  Tensor clip = {};
  // Of a value of rank 1 or more. Its rows are projected in the pass, or launch, that updates them.
  Constraint constraint = Constraint::None;
  // On "cuda" of a float32 value, undefined where it is not wanted: written with the value.
  Tensor rounded = {};                              // the value in bfloat16
  std::optional<NormalizedWeight> normalized = {};  // what weight norm makes of it
};

// Whether a step on "cuda" can write what weight norm makes of an update's value: of float32 rows
// that one of its blocks holds.
bool step_can_normalize_cuda(const ParameterUpdate& update, const NormalizedWeight& weight);

// What changes from step to step. It lies on the parameters' device, so that a step that was
// captured as a CUDA graph sees new values.
struct StepState {
  Tensor learning_rate;  // float64, one element
  Tensor steps;     // int64: updates of each parameter so far; a step counts up those it updates
  Tensor arrivals;  // int64, one element, 0 between launches: scratch of the CUDA kernels
};

// Constants: those of WARPTAPE_OPTIMIZER_RULES.
template <class Constants>
void optimizer_step_cpu(std::span<ParameterUpdate> updates, const Constants& constants,
                        StepState& state);
template <class Constants>
void optimizer_step_cuda(std::span<ParameterUpdate> updates, const Constants& constants,
                         StepState& state);

// The norm of all tensors together (the square root of the sum of squares in float64, in an order
// that does not depend on threads or on the GPU), and what to scale them by so that it does not
// exceed max_norm: max_norm / (norm + 1e-6) if that is below 1, else 1. result: float64 {norm,
// factor}, on the tensors' device.
void clip_factor_cpu(std::span<const Tensor> tensors, double max_norm, Tensor& result);
void clip_factor_cuda(std::span<const Tensor> tensors, double max_norm, Tensor& result);

// Multiplies by the factor that clip_factor left; moves nothing where that is 1.
void scale_by_factor_cpu(std::span<Tensor> tensors, const Tensor& result);
void scale_by_factor_cuda(std::span<Tensor> tensors, const Tensor& result);

}  // namespace warptape
