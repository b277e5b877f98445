#pragma once
// Weight norm's forward pass five times, from the first thing that works to one pass over memory
// with 16-byte accesses: w = g * v / ||v||, one norm per row. Every rung is right; tests run them
// all.

#include <cstdint>

#include "core/device/gpu.h"

namespace warptape::ladder {

enum class Rung { ThreadPerRow, BlockPerRow, Shuffles, Registers, Packs };
inline constexpr Rung rungs[] = {Rung::ThreadPerRow, Rung::BlockPerRow, Rung::Shuffles,
                                 Rung::Registers, Rung::Packs};
const char* name_of(Rung rung);

// The longest row that the last two rungs hold in registers; multiples of 4 only for Packs.
inline constexpr int64_t longest_row = 4096;

// v, w: (rows, length), row-major, float32; g: (rows).
void weight_norm(Rung rung, const float* v, const float* g, float* w, int64_t rows, int64_t length,
                 gpu::StreamHandle stream);

}  // namespace warptape::ladder
