#pragma once
// The gradient of a slice's input through the mask that its maker asked for, in one pass.

#include "core/tape.h"
#include "kernels/regions/regions.h"

namespace warptape {

// Gives input 0 its gradient, zero but in the box, and true; false, and nothing is done, where
// nobody asked for a mask. dim: in which the box is a part of the input.
bool give_masked_slice_cuda(Backward& context, const Box& box, int dim);

}  // namespace warptape
