#pragma once
// What an elementwise op does to gradients where it does nothing more than let some of them pass:
// ReLU, dropout. Whoever makes the last part of such an op's output's gradient can do it on the way
// out, and saves a pass over memory (Backward::mask_of).

#include "core/gradient_marks.h"
#include "core/tensor.h"

namespace warptape {

struct GradientMask {
  Tensor marks;              // uint8, of the output's shape and format: bits of gradient_marks.h
  double scale = 1;          // of the inner gradient
  bool wants_outer = false;  // the second gradient, too
};

// Of the output's shape and format. outer: undefined where it is not wanted.
struct MaskedGradient {
  Tensor inner;
  Tensor outer;
};

}  // namespace warptape
