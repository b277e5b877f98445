#pragma once
// Whether a profile holds the bounds of kernels/cases/case.h.

#include <string>
#include <vector>

#include "tools/kernel_cases.h"

namespace warptape {

// A sentence for each bound that is broken, with the number and the worst line.
std::vector<std::string> broken_bounds(const tools::KernelRun& run,
                                       const MemoryBounds& bounds = {});

}  // namespace warptape
