#pragma once
#include <vector>

#include "core/operand.h"

namespace warptape {

// The tensors behind one another along `dim` (torch.cat): concat({a, b, c}, 1). Of one dtype, any,
// and of shapes that differ in `dim` alone. The result takes the memory format of the first.
// ValueError for an empty list. Differentiable; a tensor may come more than once.
Tensor concat(const std::vector<Operand>& tensors, int dim = 0);

// The same of a vector of tensors or parameters.
template <class T>
Tensor concat(const std::vector<T>& tensors, int dim = 0, const char* file = __builtin_FILE(),
              int line = __builtin_LINE()) {
  std::vector<Operand> operands;
  for (const T& tensor : tensors) {
    operands.emplace_back(tensor, file, line);
  }
  return concat(operands, dim);
}

}  // namespace warptape
