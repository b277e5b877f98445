// Lines by vectors of 8 floats.

#include "kernels/conv1d/line_kernels.h"

#include <cstddef>

#if defined(__x86_64__)

#include <immintrin.h>

namespace warptape::lines::avx2 {
namespace {

using Vector = __m256;
constexpr int64_t lanes = 8;
constexpr int64_t largest_block = 6;
constexpr int64_t largest_correlation = 4;
constexpr int64_t largest_inputs = 3;

inline Vector load(const float* from) {
  return _mm256_loadu_ps(from);
}
inline void store(float* to, Vector value) {
  _mm256_storeu_ps(to, value);
}
inline Vector broadcast(float value) {
  return _mm256_set1_ps(value);
}
inline Vector zero() {
  return _mm256_setzero_ps();
}
inline Vector fused(Vector a, Vector b, Vector c) {
  return _mm256_fmadd_ps(a, b, c);
}
inline float sum_of(Vector value) {
  __m128 sum = _mm_add_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_shuffle_ps(sum, sum, 1)));
}

using Part = __m256i;  // all bits of a lane
inline Part part(int64_t first, int64_t last) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i before = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(first)), lane);
  const __m256i inside = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(last)), lane);
  return _mm256_andnot_si256(before, inside);
}
inline Vector load_part(Part part, const float* from) {
  return _mm256_maskload_ps(from, part);
}
inline Vector chosen(Part part, Vector yes, Vector no) {
  return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(part));
}

struct Choice {
  __m256i lane;
  __m256 is_of_second;
};
inline Choice choice(const int32_t* from) {
  const __m256i lane = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return {lane, _mm256_castsi256_ps(_mm256_cmpgt_epi32(lane, _mm256_set1_epi32(7)))};
}
inline Vector picked(const Choice& choice, Vector a, Vector b) {
  return _mm256_blendv_ps(_mm256_permutevar8x32_ps(a, choice.lane),
                          _mm256_permutevar8x32_ps(b, choice.lane), choice.is_of_second);
}

}  // namespace

#include "kernels/conv1d/line_kernels.inc"

}  // namespace warptape::lines::avx2

#endif
