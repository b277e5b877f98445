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
constexpr int64_t largest_inputs = 3;

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
inline float sum_of(Vector value) {
  const __m128 sum = _mm_add_ps(value, _mm_movehl_ps(value, value));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_shuffle_ps(sum, sum, 1)));
}

struct Part {
  int64_t first;
  int64_t last;
};
inline Part part(int64_t first, int64_t last) {
  return {first, last};
}
inline Vector load_part(Part part, const float* from) {
  float values[lanes] = {};
  for (int64_t lane = part.first; lane < part.last; ++lane) {
    values[lane] = from[lane];
  }
  return load(values);
}
inline Vector chosen(Part part, Vector yes, Vector no) {
  float values[lanes];
  float others[lanes];
  store(values, no);
  store(others, yes);
  for (int64_t lane = part.first; lane < part.last; ++lane) {
    values[lane] = others[lane];
  }
  return load(values);
}

struct Choice {
  int32_t from[lanes];
};
inline Choice choice(const int32_t* from) {
  return {{from[0], from[1], from[2], from[3]}};
}
inline Vector picked(const Choice& choice, Vector a, Vector b) {
  float values[2 * lanes];
  store(values, a);
  store(values + lanes, b);
  return _mm_setr_ps(values[choice.from[0]], values[choice.from[1]], values[choice.from[2]],
                     values[choice.from[3]]);
}

}  // namespace

#include "kernels/conv1d/line_kernels.inc"

}  // namespace warptape::lines::baseline

#endif
