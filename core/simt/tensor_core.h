#pragma once
// Tensor core instructions: ldmatrix, and mma.sync with float32 accumulators of bfloat16 (m16n8k16)
// and of TF32 (m16n8k8), which is float32 with 10 bits of mantissa (PTX ISA, "Warp-level matrix
// instructions"). All 32 lanes call them together.
//
// Fragments, with g = lane / 4 and t = lane % 4; each 32-bit register holds two neighbours along k:
//   A (16 x 16, row-major)  a[0]: row g,   k 2t..   a[1]: row g+8, k 2t..
//                           a[2]: row g,   k 2t+8.. a[3]: row g+8, k 2t+8..
//   B (16 x 8, k x n)       b[0]: k 2t.., column g  b[1]: k 2t+8.., column g
//   C, D (16 x 8)           c[0], c[1]: row g, columns 2t, 2t+1    c[2], c[3]: row g+8
// In TF32 a register holds one number in the place of the pair: k t, or t+4 instead of 2t+8. So a
// row of 16 bytes that ldmatrix takes is four of them as well as eight of bfloat16.
//
//   ldmatrix_x4(result, row): four 8 x 8 matrices from shared memory; lane 8m + r gives the address
//       of row r of matrix m (16 bytes, aligned), and gets row g, columns 2t and 2t + 1 of each
//   ldmatrix_x4_trans(result, row): column g instead
//   mma_m16n8k16(c, a, b): c += a * b; the order of the 16 additions is the hardware's own
//   mma_m16n8k8_tf32(c, a, b): the same of TF32, 8 additions
//   round_to_tf32(bits): a float's bits rounded to the nearest TF32, ties away from zero, as mma
//       wants them

#include "core/simt/bfloat16.h"
#include "core/simt/build.h"
#include "core/simt/memory.h"

#ifdef WARPTAPE_SIMT
#include "emulator/engine/tensor_core_host.h"
#elif defined(__CUDACC__)

namespace warptape::simt {

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
__device__ __forceinline__ void mma_m16n8k8_tf32(float (&c)[4], const uint32_t (&a)[4],
                                                 const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ uint32_t round_to_tf32(uint32_t bits) {
  uint32_t result;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(result) : "f"(__uint_as_float(bits)));
  return result;
}

}  // namespace warptape::simt

#endif
