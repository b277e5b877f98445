#pragma once
// Sums of floats in double by AVX-512, of which g++ makes conversions of half a vector. A product
// of two floats fits a double: fused or not, its sums have the same bits. For weight_norm_lines.h
// alone.

#include <algorithm>
#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define WARPTAPE_HAS_WEIGHT_NORM_AVX512 1

// What an intrinsic leaves undefined on purpose; g++ 12 warns of it, seen in its own header.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#define WARPTAPE_OF_AVX512 __attribute__((target("avx512f"))) inline

namespace warptape::weight_norm_avx512 {
namespace {

bool is_there() {
  static const bool result = __builtin_cpu_supports("avx512f") != 0;
  return result;
}

constexpr int64_t lanes = 32;
constexpr int64_t of_vector = 8;
constexpr int64_t vectors = lanes / of_vector;
// Floats ahead of a sum that are fetched from memory: half a page, which the processor itself does
// not look beyond.
constexpr int64_t fetched_ahead = 2048;

WARPTAPE_OF_AVX512 __m512d widened(const float* from) {
  return _mm512_cvtps_pd(_mm256_loadu_ps(from));
}
WARPTAPE_OF_AVX512 void fetch(const float* at) {
  __builtin_prefetch(at);
}

// own[k] += the products of 32 neighbours, by lanes.
WARPTAPE_OF_AVX512 void add_products(const float* a, const float* b, __m512d* own) {
  for (int64_t k = 0; k < vectors; ++k) {
    own[k] = _mm512_fmadd_pd(widened(a + k * of_vector), widened(b + k * of_vector), own[k]);
  }
}

// The same of a and a, which is widened once.
WARPTAPE_OF_AVX512 void add_squares(const float* a, __m512d* own) {
  for (int64_t k = 0; k < vectors; ++k) {
    const __m512d x = widened(a + k * of_vector);
    own[k] = _mm512_fmadd_pd(x, x, own[k]);
  }
}

// own[k] += a[i] b[i] where i % 32 is the lane.
WARPTAPE_OF_AVX512 void add_row(const float* a, const float* b, int64_t count, __m512d* own) {
  const int64_t whole = count / lanes * lanes;
  if (a == b) {
    for (int64_t i = 0; i < whole; i += lanes) {
      fetch(a + i + fetched_ahead);
      fetch(a + i + fetched_ahead + 16);
      add_squares(a + i, own);
    }
  } else {
    for (int64_t i = 0; i < whole; i += lanes) {
      fetch(a + i + fetched_ahead);
      fetch(a + i + fetched_ahead + 16);
      fetch(b + i + fetched_ahead);
      fetch(b + i + fetched_ahead + 16);
      add_products(a + i, b + i, own);
    }
  }
  if (whole < count) {
    float last_of_a[lanes];
    float last_of_b[lanes];
    const uint32_t mask = (uint32_t{1} << (count - whole)) - 1;
    for (int64_t half = 0; half < 2; ++half) {
      const auto of_half = static_cast<__mmask16>(mask >> (16 * half));
      const int64_t at = 16 * half;
      _mm512_storeu_ps(last_of_a + at, _mm512_maskz_loadu_ps(of_half, a + whole + at));
      _mm512_storeu_ps(last_of_b + at, _mm512_maskz_loadu_ps(of_half, b + whole + at));
    }
    add_products(last_of_a, last_of_b, own);
  }
}

// sums[lane] += a[i] b[i] where i % 32 is the lane.
WARPTAPE_OF_AVX512 void products_along(const float* a, const float* b, int64_t count,
                                       double* sums) {
  __m512d own[vectors];
  for (int64_t k = 0; k < vectors; ++k) {
    own[k] = _mm512_loadu_pd(sums + k * of_vector);
  }
  add_row(a, b, count, own);
  for (int64_t k = 0; k < vectors; ++k) {
    _mm512_storeu_pd(sums + k * of_vector, own[k]);
  }
}

// The same of each of several rows, whose lanes are added up in the order of total().
WARPTAPE_OF_AVX512 void products_of_rows(const float* a, const float* b, int64_t rows, int64_t run,
                                         double* sums) {
  for (int64_t row = 0; row < rows; ++row) {
    __m512d own[vectors] = {};
    add_row(a + row * run, b + row * run, run, own);
    double of[of_vector];
    _mm512_storeu_pd(of,
                     _mm512_add_pd(_mm512_add_pd(own[0], own[1]), _mm512_add_pd(own[2], own[3])));
    sums[row] = ((of[0] + of[1]) + (of[2] + of[3])) + ((of[4] + of[5]) + (of[6] + of[7]));
  }
}

// sums[i] += a[i] b[i], of `lines` lines of `count` elements one after the other, `stride` apart.
WARPTAPE_OF_AVX512 void products_across(const float* a, const float* b, int64_t lines,
                                        int64_t stride, int64_t count, double* sums) {
  const int64_t whole = count / of_vector * of_vector;
  constexpr int64_t together = 4;  // lines, whose sums are read and written once
  for (int64_t line = 0; line < lines; line += together) {
    const int64_t end = std::min(lines, line + together);
    for (int64_t i = 0; i < whole; i += of_vector) {
      __m512d own = _mm512_loadu_pd(sums + i);
      for (int64_t at = line * stride + i; at < end * stride; at += stride) {
        fetch(a + at + together * stride);
        fetch(b + at + together * stride);
        own = _mm512_fmadd_pd(widened(a + at), widened(b + at), own);
      }
      _mm512_storeu_pd(sums + i, own);
    }
    for (int64_t each = line; each < end; ++each) {
      for (int64_t i = whole; i < count; ++i) {
        sums[i] += static_cast<double>(a[each * stride + i]) * b[each * stride + i];
      }
    }
  }
}

constexpr int64_t of_line = 16;  // floats of a cache line

// Whether rows are whole lines of a cache.
bool are_lines(const float* to, int64_t run) {
  return run % of_line == 0 && reinterpret_cast<uintptr_t>(to) % (of_line * sizeof(float)) == 0;
}

// Rows of whole lines, scaled as scale_along() does it, and written line by line past the caches.
WARPTAPE_OF_AVX512 void scale_lines(const float* v, int64_t rows, int64_t run, const double* units,
                                    const double* gains, float* w) {
  for (int64_t row = 0; row < rows; ++row) {
    const __m512 unit = _mm512_set1_ps(static_cast<float>(units[row]));
    const __m512 gain = _mm512_set1_ps(static_cast<float>(gains[row]));
    for (int64_t i = row * run; i < (row + 1) * run; i += of_line) {
      _mm512_stream_ps(w + i, _mm512_mul_ps(gain, _mm512_mul_ps(_mm512_loadu_ps(v + i), unit)));
    }
  }
}

// The same of gradient_along().
WARPTAPE_OF_AVX512 void gradient_lines(const float* dw, const float* v, int64_t rows, int64_t run,
                                       const double* scales, const double* inverses,
                                       const double* projections, float* dv) {
  for (int64_t row = 0; row < rows; ++row) {
    const __m512 scale = _mm512_set1_ps(static_cast<float>(scales[row]));
    const __m512 inverse = _mm512_set1_ps(static_cast<float>(inverses[row]));
    const __m512 projection = _mm512_set1_ps(static_cast<float>(projections[row]));
    for (int64_t i = row * run; i < (row + 1) * run; i += of_line) {
      const __m512 along =
          _mm512_mul_ps(_mm512_mul_ps(_mm512_loadu_ps(v + i), inverse), projection);
      _mm512_stream_ps(dv + i, _mm512_mul_ps(scale, _mm512_sub_ps(_mm512_loadu_ps(dw + i), along)));
    }
  }
}

}  // namespace
}  // namespace warptape::weight_norm_avx512

#undef WARPTAPE_OF_AVX512
#pragma GCC diagnostic pop
#else
#define WARPTAPE_HAS_WEIGHT_NORM_AVX512 0
#endif
