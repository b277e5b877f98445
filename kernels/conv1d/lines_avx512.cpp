// Lines by vectors of 16 floats.

#include "kernels/conv1d/line_kernels.h"

#include <cstddef>

#if defined(__x86_64__)

#include <immintrin.h>

namespace warptape::lines::avx512 {
namespace {

using Vector = __m512;
constexpr int64_t lanes = 16;
constexpr int64_t largest_block = 8;
constexpr int64_t largest_correlation = 6;
constexpr int64_t most_taps = 4;

inline Vector load(const float* from) {
  return _mm512_loadu_ps(from);
}
inline void store(float* to, Vector value) {
  _mm512_storeu_ps(to, value);
}
inline Vector broadcast(float value) {
  return _mm512_set1_ps(value);
}
inline Vector zero() {
  return _mm512_setzero_ps();
}
inline Vector fused(Vector a, Vector b, Vector c) {
  return _mm512_fmadd_ps(a, b, c);
}
inline Vector chosen(const int32_t* mask, Vector yes, Vector no) {
  const __m512i bits = _mm512_loadu_si512(mask);
  return _mm512_mask_blend_ps(_mm512_test_epi32_mask(bits, bits), no, yes);
}

}  // namespace

#include "kernels/conv1d/line_kernels.inc"

}  // namespace warptape::lines::avx512

#endif
