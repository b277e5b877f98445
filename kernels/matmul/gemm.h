#pragma once
// The CPU's matrix product on dense row-major matrices, which matmul and linear share.

#include <cstdint>

#include "core/element_types.h"

namespace warptape {

// C (m, n) = op(A) op(B), plus what C holds if `accumulate`. op(A) is (m, k): A is stored (m, k),
// or (k, m) with transpose_a; likewise B. Float and bfloat16 run on oneDNN where it is built in;
// the loops (gemm_reference) accumulate in float64.
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
          const float* b, bool accumulate, float* c);
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const double* a,
          const double* b, bool accumulate, double* c);
// bfloat16 goes through float copies where oneDNN does not take it.
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
          const simt::bfloat16* a, const simt::bfloat16* b, bool accumulate, simt::bfloat16* c);
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
          const simt::bfloat16* a, const simt::bfloat16* b, bool accumulate, float* c);

template <class T>
void gemm_reference(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const T* a,
                    const T* b, bool accumulate, T* c);

// In gemm_onednn.cpp; false if oneDNN cannot do it.
bool gemm_onednn(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                 const float* a, const float* b, bool accumulate, float* c);
// To a C of float or, without `accumulate`, of bfloat16.
template <class T>
bool gemm_onednn(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                 const simt::bfloat16* a, const simt::bfloat16* b, bool accumulate, T* c);

}  // namespace warptape
