#pragma once
// What a profile must hold for a kernel to be called good.

#include <string>
#include <vector>

#include "tools/kernel_cases.h"

namespace warptape {

// Memory-bound kernels: nothing moves twice, and it moves 16 bytes a lane.
struct Bounds {
  double moved = 1.05;        // times the counted bytes, at most
  double by_16 = 0.95;        // of the counted bytes in long tensors, at least
  double efficiency = 0.95;   // at least
  double bank_factor = 1.05;  // at most
};
// Kernels whose two sides have different layouts.
inline constexpr Bounds layout_bounds = {.moved = 1.1, .by_16 = 0, .efficiency = 0.9};

// A sentence for each bound that is broken, with the number and the worst line.
std::vector<std::string> broken_bounds(const tools::KernelRun& run, const Bounds& bounds = {});

}  // namespace warptape
