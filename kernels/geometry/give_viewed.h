#pragma once
#include <utility>

#include "core/tape.h"

namespace warptape {

// Hands on a gradient in another shape. It gives up the only handle on it, so that the tape takes
// its elements over instead of copying them.
inline void give_viewed(Backward& context, int input, Tensor& gradient, const Shape& shape) {
  Tensor viewed = gradient.view(shape);
  gradient = Tensor();
  context.give(input, std::move(viewed));
}

}  // namespace warptape
