#pragma once
// Parameters of no module, whose gradients a test sets itself.

#include <memory>
#include <vector>

#include "core/parameter.h"
#include "core/primitives.h"

namespace warptape::hand_set {

inline std::shared_ptr<ParameterState> state_of(const Tensor& value) {
  auto state = std::make_shared<ParameterState>();
  state->value = value.clone();
  return state;
}

inline void set_gradient(ParameterState& state, const Tensor& gradient) {
  state.grad = primitives::cast(gradient, state.value.dtype()).to(state.value.device()).clone();
  state.grad = primitives::relayout(state.grad, state.value.memory_format());
  state.grad_is_empty = false;
}

inline std::vector<double> values_of(const Tensor& tensor) {
  return primitives::cast(tensor.to(cpu), float64).to_vector<double>();
}

}  // namespace warptape::hand_set
