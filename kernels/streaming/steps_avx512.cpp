// Steps by vectors of 64 bytes.

#include "kernels/streaming/step_kernels.h"

#include <cstddef>

#if defined(__x86_64__)

#include <immintrin.h>

namespace warptape::streaming::avx512 {
namespace {

constexpr int rows_at_once = 8;

template <class T>
struct Of;

template <>
struct Of<float> {
  using Vector = __m512;
  static constexpr int64_t lanes = 16;

  static Vector load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(float* to, Vector value) { _mm512_storeu_ps(to, value); }
  static Vector broadcast(float value) { return _mm512_set1_ps(value); }
  static Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static Vector fused(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
};

template <>
struct Of<double> {
  using Vector = __m512d;
  static constexpr int64_t lanes = 8;

  static Vector load(const double* from) { return _mm512_loadu_pd(from); }
  static void store(double* to, Vector value) { _mm512_storeu_pd(to, value); }
  static Vector broadcast(double value) { return _mm512_set1_pd(value); }
  static Vector add(Vector a, Vector b) { return _mm512_add_pd(a, b); }
  static Vector fused(Vector a, Vector b, Vector c) { return _mm512_fmadd_pd(a, b, c); }
};

}  // namespace

#include "kernels/streaming/step_kernels.inc"

}  // namespace warptape::streaming::avx512

#endif
