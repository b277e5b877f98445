#pragma once
// Tensor core instructions on bfloat16: ldmatrix and mma.sync m16n8k16 with float32 accumulators
// (PTX ISA, "Warp-level matrix instructions"). All 32 lanes call them together.
//
// Fragments, with g = lane / 4 and t = lane % 4; each 32-bit register holds two neighbours along k:
//   A (16 x 16, row-major)  a[0]: row g,   k 2t..   a[1]: row g+8, k 2t..
//                           a[2]: row g,   k 2t+8.. a[3]: row g+8, k 2t+8..
//   B (16 x 8, k x n)       b[0]: k 2t.., column g  b[1]: k 2t+8.., column g
//   C, D (16 x 8)           c[0], c[1]: row g, columns 2t, 2t+1    c[2], c[3]: row g+8

#include "core/simt/bfloat16.h"
#include "core/simt/memory.h"

namespace warptape::simt {

#ifdef WARPTAPE_SIMT

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

// Four 8 x 8 matrices from shared memory: lane 8m + r gives the address of row r of matrix m (16
// bytes, aligned), and gets row g, columns 2t and 2t + 1 of each; transposed, column g instead.
inline void ldmatrix_x4(uint32_t (&result)[4], const void* row, WARPTAPE_SIMT_SITE) {
  engine::load_matrices<false>(result, row, "ldmatrix_x4", file, line);
}
inline void ldmatrix_x4_trans(uint32_t (&result)[4], const void* row, WARPTAPE_SIMT_SITE) {
  engine::load_matrices<true>(result, row, "ldmatrix_x4_trans", file, line);
}

// c += a * b. The order of the 16 additions is the hardware's own; here it is ascending.
inline void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                         WARPTAPE_SIMT_SITE) {
  engine::MmaSlot slot{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}, {c[0], c[1], c[2], c[3]}};
  engine::warp_collective("mma_m16n8k16", 0xFFFFFFFFu, &slot, &engine::multiply_fragments, false,
                          file, line);
  std::memcpy(c, slot.c, sizeof c);
}

#elif defined(__CUDACC__)

__device__ __forceinline__ void ldmatrix_x4(uint32_t (&result)[4], const void* row) {
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(result[0]), "=r"(result[1]), "=r"(result[2]), "=r"(result[3])
               : "r"(address)
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&result)[4], const void* row) {
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(result[0]), "=r"(result[1]), "=r"(result[2]), "=r"(result[3])
               : "r"(address)
               : "memory");
}
__device__ __forceinline__ void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4],
                                             const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif

}  // namespace warptape::simt
