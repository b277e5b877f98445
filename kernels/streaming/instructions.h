#pragma once
#include "kernels/conv1d/lines.h"

namespace warptape::streaming {

// The instructions that filters are packed for from now on, no more than the best that the
// processor has, which are used unless a test asks for others.
void use_step_instructions(LineInstructions instructions);

}  // namespace warptape::streaming
