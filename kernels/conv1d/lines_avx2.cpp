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
constexpr int64_t most_taps = 3;

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
inline Vector chosen(const int32_t* mask, Vector yes, Vector no) {
  const __m256 bits = _mm256_loadu_ps(reinterpret_cast<const float*>(mask));
  return _mm256_blendv_ps(no, yes, bits);
}

}  // namespace

#include "kernels/conv1d/line_kernels.inc"

}  // namespace warptape::lines::avx2

#endif
