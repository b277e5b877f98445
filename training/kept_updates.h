#pragma once
#include <vector>

#include "core/kept_value.h"
#include "kernels/optimizer/optimizer_step.h"

namespace warptape {

// Has update number `at` write what is kept of its value, too: a copy in bfloat16, or the weight
// that weight norm makes of it. False, and nothing changed, where a step cannot do so.
bool write_with(std::vector<ParameterUpdate>& updates, size_t at, KeptValue& kept);

}  // namespace warptape
