// Lines by vectors of 4 floats.

#include "kernels/conv1d/line_kernels.h"

#include <cstddef>

#if defined(__x86_64__)

#include <emmintrin.h>

namespace warptape::lines::baseline {
namespace {

using Vector = __m128;
constexpr int64_t lanes = 4;
constexpr int64_t largest_block = 4;
constexpr int64_t largest_correlation = 3;
constexpr int64_t most_taps = 3;

inline Vector load(const float* from) {
  return _mm_loadu_ps(from);
}
inline void store(float* to, Vector value) {
  _mm_storeu_ps(to, value);
}
inline Vector broadcast(float value) {
  return _mm_set1_ps(value);
}
inline Vector zero() {
  return _mm_setzero_ps();
}
inline Vector fused(Vector a, Vector b, Vector c) {
  return _mm_add_ps(_mm_mul_ps(a, b), c);
}
inline Vector chosen(const int32_t* mask, Vector yes, Vector no) {
  const __m128 bits = _mm_loadu_ps(reinterpret_cast<const float*>(mask));
  return _mm_or_ps(_mm_and_ps(bits, yes), _mm_andnot_ps(bits, no));
}

}  // namespace

#include "kernels/conv1d/line_kernels.inc"

}  // namespace warptape::lines::baseline

#endif
