#pragma once
// Sizes of pooling over one or two axes, as PyTorch counts them.

#include <span>

#include "core/operand.h"
#include "kernels/pool/pool_windows.h"

namespace warptape {

// What a caller asks of one spatial axis.
struct PoolAxisOptions {
  int64_t kernel_size, stride, padding, dilation;
};

// Checks x, (N, C, H, W) or, of one axis, (N, C, L), floating, and the options. With ceil_mode the
// last window may begin in the image or the left padding, but not in the right padding. An image
// has fewer than 2^31 elements, so that kernels can count within one in 32 bits.
PoolGeometry make_pool_geometry(const char* op, const Operand& x,
                                std::span<const PoolAxisOptions> axes, bool ceil_mode);
// Of images. stride 0 stands for the kernel size.
PoolGeometry make_pool_geometry(const char* op, const Operand& x, Pair kernel_size, Pair stride,
                                Pair padding, Pair dilation, bool ceil_mode);
// Of sequences, likewise.
PoolGeometry make_pool_geometry_1d(const char* op, const Operand& x, int64_t kernel_size,
                                   int64_t stride, int64_t padding, int64_t dilation,
                                   bool ceil_mode);

// Of x and y: as kernels see them, images always, and as the caller does.
Shape pool_image(const PoolGeometry& geometry);
Shape pooled_image(const PoolGeometry& geometry);
Shape pool_shape(const PoolGeometry& geometry);
Shape pooled_shape(const PoolGeometry& geometry);

// How many lines of windows are worth a thread of the CPU.
int64_t pool_line_grain(const PoolGeometry& geometry);

}  // namespace warptape
