#pragma once
// Loops that do nothing but multiply and add, on operands that stay in registers: how fast a
// machine is at most, for who compares kernels with it.

#include <cstdint>

#include "core/device/gpu.h"

namespace warptape::ceilings {

// On all CPU threads, each `rounds` times; returns how many FLOPs that was. Independent fused
// multiply-adds of float32, by the widest vectors of the processor; 0 where we know none.
int64_t multiply_add_cpu(int64_t rounds);

}  // namespace warptape::ceilings

namespace warptape::on_cuda {

// The same by `blocks` blocks, and on the tensor cores in bfloat16. sums: what keeps the loops
// alive, ceiling_threads elements for each block. They return the FLOPs of one launch.
inline constexpr int ceiling_threads = 256;
int64_t multiply_add(gpu::StreamHandle stream, int64_t blocks, int64_t rounds, float* sums);
int64_t multiply_add_bfloat16(gpu::StreamHandle stream, int64_t blocks, int64_t rounds,
                              float* sums);

}  // namespace warptape::on_cuda
