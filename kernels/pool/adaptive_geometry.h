#pragma once
#include "core/operand.h"
#include "kernels/pool/adaptive_windows.h"

namespace warptape {

// Checks x, (N, C, L) and floating, and how many windows are asked for.
AdaptiveWindows adaptive_windows(const char* op, const Operand& x, int64_t output_size);

}  // namespace warptape
