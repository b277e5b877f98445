#pragma once
// Sizes of 2-D pooling, as PyTorch counts them.

#include "core/operand.h"
#include "kernels/pool/pool_windows.h"

namespace warptape {

// Checks x (rank 4, floating) and the options. stride 0 stands for the kernel size. With ceil_mode
// the last window may begin in the image or the left padding, but not in the right padding. An
// image has fewer than 2^31 elements, so that kernels can count within one in 32 bits.
PoolGeometry make_pool_geometry(const char* op, const Operand& x, Pair kernel_size, Pair stride,
                                Pair padding, Pair dilation, bool ceil_mode);

// How many lines of windows are worth a thread of the CPU.
int64_t pool_line_grain(const PoolGeometry& geometry);

}  // namespace warptape
