#include "kernels/ceilings/ceilings.h"

#include <atomic>
#include <cmath>

#include "core/parallel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace warptape::ceilings {
namespace {

// So many sums at once hide the latency of an addition.
constexpr int sums = 12;
constexpr float factor = 0.999F;
constexpr float addend = 0.001F;

struct Loop {
  float (*run)(int64_t rounds);
  int64_t lanes;
};

float plain(int64_t rounds) {
  float values[sums] = {};
  for (int64_t i = 0; i < rounds; ++i) {
    for (float& value : values) {
      value = std::fma(value, factor, addend);
    }
  }
  float total = 0;
  for (const float value : values) {
    total += value;
  }
  return total;
}

#if defined(__x86_64__)

__attribute__((target("avx2,fma"))) float by_avx2(int64_t rounds) {
  __m256 values[sums];
  for (__m256& value : values) {
    value = _mm256_setzero_ps();
  }
  const __m256 by = _mm256_set1_ps(factor);
  const __m256 plus = _mm256_set1_ps(addend);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (__m256& value : values) {
      value = _mm256_fmadd_ps(value, by, plus);
    }
  }
  __m256 total = values[0];
  for (int i = 1; i < sums; ++i) {
    total = _mm256_add_ps(total, values[i]);
  }
  return _mm256_cvtss_f32(total);
}

__attribute__((target("avx512f"))) float by_avx512(int64_t rounds) {
  __m512 values[sums];
  for (__m512& value : values) {
    value = _mm512_setzero_ps();
  }
  const __m512 by = _mm512_set1_ps(factor);
  const __m512 plus = _mm512_set1_ps(addend);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (__m512& value : values) {
      value = _mm512_fmadd_ps(value, by, plus);
    }
  }
  __m512 total = values[0];
  for (int i = 1; i < sums; ++i) {
    total = _mm512_add_ps(total, values[i]);
  }
  return _mm512_cvtss_f32(total);
}

#endif

Loop widest() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) {
    return {by_avx512, 16};
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return {by_avx2, 8};
  }
#endif
  return {plain, 1};
}

}  // namespace

int64_t multiply_add_cpu(int64_t rounds) {
  const Loop loop = widest();
  const int64_t threads = num_threads();
  std::atomic<float> kept{0};
  parallel_for(threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kept.store(loop.run(rounds), std::memory_order_relaxed);
    }
  });
  return threads * rounds * sums * loop.lanes * 2;
}

}  // namespace warptape::ceilings
