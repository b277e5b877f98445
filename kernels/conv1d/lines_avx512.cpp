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
constexpr int64_t largest_correlation = 9;
constexpr int64_t largest_inputs = 3;

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
inline float sum_of(Vector value) {
  // With a mask of all, as g++ 12 warns of what the plain ones leave undefined.
  const __m512d pairs = _mm512_castps_pd(value);
  const __m256 low = _mm256_castpd_ps(_mm512_maskz_extractf64x4_pd(0xF, pairs, 0));
  const __m256 high = _mm256_castpd_ps(_mm512_maskz_extractf64x4_pd(0xF, pairs, 1));
  const __m256 eight = _mm256_add_ps(low, high);
  __m128 sum = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_shuffle_ps(sum, sum, 1)));
}

using Part = __mmask16;
inline Part part(int64_t first, int64_t last) {
  return static_cast<Part>((1U << last) - (1U << first));
}
inline Vector load_part(Part part, const float* from) {
  return _mm512_maskz_loadu_ps(part, from);
}
inline Vector chosen(Part part, Vector yes, Vector no) {
  return _mm512_mask_blend_ps(part, no, yes);
}

using Choice = __m512i;
inline Choice choice(const int32_t* from) {
  return _mm512_loadu_si512(from);
}
inline Vector picked(Choice choice, Vector a, Vector b) {
  return _mm512_permutex2var_ps(a, choice, b);
}

}  // namespace

#include "kernels/conv1d/line_kernels.inc"

}  // namespace warptape::lines::avx512

#endif
