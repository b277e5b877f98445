#pragma once
// Ops whose backward a test writes itself.

#include "core/primitives.h"
#include "core/tape.h"

namespace warptape {

// An op named "hand_made" whose output is a copy of its first input.
inline Tensor hand_made(std::initializer_list<const Operand*> inputs, BackwardFunction backward) {
  Tensor y = (*inputs.begin())->detach().clone();
  if (Tape* tape = Tape::recording(inputs)) {
    tape->record("hand_made", inputs, {&y}, std::move(backward));
  }
  return y;
}

inline Tensor hand_made(const Operand& x, BackwardFunction backward) {
  return hand_made({&x}, std::move(backward));
}

// The gradient of the output handed on as the input's, by into().
inline void pass_on(Backward& context, int input) {
  if (!context.needs(input)) {
    return;
  }
  GradientTarget to = context.into(input);
  if (to.mode == WriteMode::Overwrite) {
    primitives::copy(context.grad(), to.buffer);
  } else {
    primitives::add(context.grad(), to.buffer);
  }
}

}  // namespace warptape
