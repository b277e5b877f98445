#pragma once
#include <vector>

#include "core/operand.h"

namespace warptape {

// Tensors of one shape and dtype, any, along a new dimension `dim` of the result, which counts from
// the end where negative: stack({a, b}) of two (3, 4) is (2, 3, 4). The result is row-major.
// ValueError for an empty list. Differentiable; a tensor may come more than once.
Tensor stack(const std::vector<Operand>& tensors, int dim = 0);

// The same of a vector of tensors or parameters.
template <class T>
Tensor stack(const std::vector<T>& tensors, int dim = 0, const char* file = __builtin_FILE(),
             int line = __builtin_LINE()) {
  std::vector<Operand> operands;
  for (const T& tensor : tensors) {
    operands.emplace_back(tensor, file, line);
  }
  return stack(operands, dim);
}

}  // namespace warptape
