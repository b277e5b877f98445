#pragma once
// The tensor core instructions of core/simt/tensor_core.h on the engine. That header includes this
// one.

#include <bit>
#include <cstdint>
#include <cstring>

#include "core/simt/tensor_core.h"
#include "emulator/engine/memory_host.h"

namespace warptape::simt {

namespace engine {

// Row r of matrix m is what lane 8m + r brings; every lane takes one register of each matrix.
struct MatrixSlot {
  uint16_t row[8];
  uint32_t result[4];
};
// Element of matrix m.
WARPTAPE_SIMT_UNSEEN inline uint32_t matrix_element(void* const* slots, unsigned m, unsigned row,
                                                    unsigned column) {
  return static_cast<MatrixSlot*>(slots[8 * m + row])->row[column];
}
template <bool Transposed>
WARPTAPE_SIMT_UNSEEN void spread_matrices(void* const* slots, unsigned) {
  for (unsigned lane = 0; lane < 32; ++lane) {
    auto& own = *static_cast<MatrixSlot*>(slots[lane]);
    const unsigned g = lane / 4;
    const unsigned t = lane % 4;
    for (unsigned m = 0; m < 4; ++m) {
      own.result[m] =
          Transposed
              ? matrix_element(slots, m, 2 * t, g) | matrix_element(slots, m, 2 * t + 1, g) << 16
              : matrix_element(slots, m, g, 2 * t) | matrix_element(slots, m, g, 2 * t + 1) << 16;
    }
  }
}

struct MmaSlot {
  uint32_t a[4];
  uint32_t b[2];
  float c[4];
};
WARPTAPE_SIMT_UNSEEN inline void multiply_fragments(void* const* slots, unsigned) {
  const auto half = [](uint32_t word, unsigned which) {
    return std::bit_cast<float>(which == 0 ? word << 16 : word & 0xFFFF0000u);
  };
  float a[16][16];
  float b[16][8];
  for (unsigned lane = 0; lane < 32; ++lane) {
    const auto& own = *static_cast<MmaSlot*>(slots[lane]);
    const unsigned g = lane / 4;
    const unsigned t = lane % 4;
    for (unsigned i = 0; i < 2; ++i) {
      a[g][2 * t + i] = half(own.a[0], i);
      a[g + 8][2 * t + i] = half(own.a[1], i);
      a[g][2 * t + 8 + i] = half(own.a[2], i);
      a[g + 8][2 * t + 8 + i] = half(own.a[3], i);
      b[2 * t + i][g] = half(own.b[0], i);
      b[2 * t + 8 + i][g] = half(own.b[1], i);
    }
  }
  for (unsigned lane = 0; lane < 32; ++lane) {
    auto& own = *static_cast<MmaSlot*>(slots[lane]);
    for (unsigned i = 0; i < 4; ++i) {
      const unsigned row = lane / 4 + 8 * (i / 2);
      const unsigned column = 2 * (lane % 4) + i % 2;
      for (unsigned k = 0; k < 16; ++k) {
        own.c[i] += a[row][k] * b[k][column];
      }
    }
  }
}

WARPTAPE_SIMT_UNSEEN inline void multiply_tf32(void* const* slots, unsigned) {
  // Of bits that round_to_tf32 did not clear the hardware sees nothing.
  const auto number = [](uint32_t word) { return std::bit_cast<float>(word & ~0x1FFFu); };
  float a[16][8];
  float b[8][8];
  for (unsigned lane = 0; lane < 32; ++lane) {
    const auto& own = *static_cast<MmaSlot*>(slots[lane]);
    const unsigned g = lane / 4;
    const unsigned t = lane % 4;
    a[g][t] = number(own.a[0]);
    a[g + 8][t] = number(own.a[1]);
    a[g][t + 4] = number(own.a[2]);
    a[g + 8][t + 4] = number(own.a[3]);
    b[t][g] = number(own.b[0]);
    b[t + 4][g] = number(own.b[1]);
  }
  for (unsigned lane = 0; lane < 32; ++lane) {
    auto& own = *static_cast<MmaSlot*>(slots[lane]);
    for (unsigned i = 0; i < 4; ++i) {
      const unsigned row = lane / 4 + 8 * (i / 2);
      const unsigned column = 2 * (lane % 4) + i % 2;
      for (unsigned k = 0; k < 8; ++k) {
        own.c[i] += a[row][k] * b[k][column];
      }
    }
  }
}

template <bool Transposed>
void load_matrices(uint32_t (&result)[4], const void* row, const char* what, const char* file,
                   int line) {
  check16(row, what);
  check_shared(row, what);
  MatrixSlot slot{};
  copy16(slot.row, row);
  warp_collective(what, 0xFFFFFFFFu, &slot, &spread_matrices<Transposed>, false, file, line);
  std::memcpy(result, slot.result, sizeof result);
}

}  // namespace engine

inline void ldmatrix_x4(uint32_t (&result)[4], const void* row, WARPTAPE_SIMT_SITE) {
  engine::load_matrices<false>(result, row, "ldmatrix_x4", file, line);
}
inline void ldmatrix_x4_trans(uint32_t (&result)[4], const void* row, WARPTAPE_SIMT_SITE) {
  engine::load_matrices<true>(result, row, "ldmatrix_x4_trans", file, line);
}

// Adds in ascending order.
inline void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                         WARPTAPE_SIMT_SITE) {
  engine::MmaSlot slot{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}, {c[0], c[1], c[2], c[3]}};
  engine::warp_collective("mma_m16n8k16", 0xFFFFFFFFu, &slot, &engine::multiply_fragments, false,
                          file, line);
  std::memcpy(c, slot.c, sizeof c);
}
inline void mma_m16n8k8_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                             WARPTAPE_SIMT_SITE) {
  engine::MmaSlot slot{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}, {c[0], c[1], c[2], c[3]}};
  engine::warp_collective("mma_m16n8k8_tf32", 0xFFFFFFFFu, &slot, &engine::multiply_tf32, false,
                          file, line);
  std::memcpy(c, slot.c, sizeof c);
}

// As sm_90 does cvt.rna.tf32.f32: infinities and NaNs keep their upper bits, and what is too large
// becomes an infinity.
inline uint32_t round_to_tf32(uint32_t bits) {
  const bool is_finite = (bits & 0x7F800000u) != 0x7F800000u;
  return (is_finite ? bits + 0x1000u : bits) & ~0x1FFFu;
}

}  // namespace warptape::simt
