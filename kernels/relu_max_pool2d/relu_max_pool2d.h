#pragma once
#include "kernels/max_pool2d/max_pool2d.h"

namespace warptape {

// max_pool2d(relu(x)) in one pass forward and one backward: the same values and gradients, because
// ReLU does not change which element is the largest of a window that has a positive one. Saves the
// pass over the activations that ReLU takes and the copy that its backward would keep.
Tensor relu_max_pool2d(const Operand& x, MaxPool2dOptions options);

}  // namespace warptape
