#pragma once
// Backward passes of linear ops, as ops themselves. The gradient of y = A x is A^T dy, and that of
// z = A^T dy is A dz: with the kernels of both the op can be differentiated as often as one likes.

#include <functional>
#include <memory>

#include "core/tape.h"

namespace warptape {

struct LinearMap {
  const char* name;  // of the op
  // They take constants and record nothing.
  std::function<Tensor(const Tensor& x)> forward;
  std::function<Tensor(const Tensor& dy)> transposed;
};

// For a backward that creates a graph: gives the input of an op y = A x its gradient A^T dy, if it
// needs one.
void give_transposed(Backward& context, LinearMap map, int input = 0);

}  // namespace warptape
