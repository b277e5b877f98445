#pragma once
// What a mark says of an element's gradient (GradientMask), as bits.

#include <cstdint>

namespace warptape::gradient_marks {

// It reaches what the op computes the element from: the inner gradient.
inline constexpr uint8_t inner = 1;
// It reaches what was added to that: the outer gradient.
inline constexpr uint8_t outer = 2;

}  // namespace warptape::gradient_marks
