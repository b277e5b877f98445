// Steps by vectors of 32 bytes.

#include "kernels/streaming/step_kernels.h"

#include <cstddef>

#if defined(__x86_64__)

#include <immintrin.h>

namespace warptape::streaming::avx2 {
namespace {

constexpr int rows_at_once = 6;

template <class T>
struct Of;

template <>
struct Of<float> {
  using Vector = __m256;
  static constexpr int64_t lanes = 8;

  static Vector load(const float* from) { return _mm256_loadu_ps(from); }
  static void store(float* to, Vector value) { _mm256_storeu_ps(to, value); }
  static Vector broadcast(float value) { return _mm256_set1_ps(value); }
  static Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  static Vector fused(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
};

template <>
struct Of<double> {
  using Vector = __m256d;
  static constexpr int64_t lanes = 4;

  static Vector load(const double* from) { return _mm256_loadu_pd(from); }
  static void store(double* to, Vector value) { _mm256_storeu_pd(to, value); }
  static Vector broadcast(double value) { return _mm256_set1_pd(value); }
  static Vector add(Vector a, Vector b) { return _mm256_add_pd(a, b); }
  static Vector fused(Vector a, Vector b, Vector c) { return _mm256_fmadd_pd(a, b, c); }
};

}  // namespace

#include "kernels/streaming/step_kernels.inc"

}  // namespace warptape::streaming::avx2

#endif
