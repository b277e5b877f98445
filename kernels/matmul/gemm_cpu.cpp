#include <vector>

#include "core/element_types.h"
#include "core/parallel.h"
#include "kernels/matmul/gemm.h"
#include "kernels/vendor/onednn.h"

namespace warptape {

template <class T>
void gemm_reference(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const T* a,
                    const T* b, bool accumulate, T* c) {
  // The inner loop runs along rows of op(B), so B is wanted as (k, n).
  std::vector<T> packed;
  if (transpose_b) {
    packed.resize(static_cast<size_t>(n * k));
    parallel_for(k, default_grain / (n + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        for (int64_t j = 0; j < n; ++j) {
          packed[static_cast<size_t>(p * n + j)] = b[j * k + p];
        }
      }
    });
    b = packed.data();
  }
  constexpr int64_t block = 8;  // rows of C that share one pass over B
  const int64_t blocks = (m + block - 1) / block;
  const int64_t grain = default_grain / (block * n * k + 1) + 1;
  parallel_for(blocks, grain, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<size_t>(block * n));
    for (int64_t part = begin; part < end; ++part) {
      const int64_t first = part * block;
      const int64_t rows = std::min(block, m - first);
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t p = 0; p < k; ++p) {
        for (int64_t r = 0; r < rows; ++r) {
          const int64_t i = first + r;
          const double factor = transpose_a ? a[p * m + i] : a[i * k + p];
          const T* row = b + p * n;
          double* sum = sums.data() + r * n;
          for (int64_t j = 0; j < n; ++j) {
            sum[j] += factor * row[j];
          }
        }
      }
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t j = 0; j < n; ++j) {
          T& to = c[(first + r) * n + j];
          const double sum = sums[static_cast<size_t>(r * n + j)];
          to = static_cast<T>(accumulate ? to + sum : sum);
        }
      }
    }
  });
}

template void gemm_reference(bool, bool, int64_t, int64_t, int64_t, const float*, const float*,
                             bool, float*);
template void gemm_reference(bool, bool, int64_t, int64_t, int64_t, const double*, const double*,
                             bool, double*);

void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const double* a,
          const double* b, bool accumulate, double* c) {
  gemm_reference(transpose_a, transpose_b, m, n, k, a, b, accumulate, c);
}

void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
          const float* b, bool accumulate, float* c) {
  if (onednn_is_used() && gemm_onednn(transpose_a, transpose_b, m, n, k, a, b, accumulate, c)) {
    return;
  }
  gemm_reference(transpose_a, transpose_b, m, n, k, a, b, accumulate, c);
}

namespace {

std::vector<float> widened(const simt::bfloat16* values, int64_t count) {
  std::vector<float> wide(static_cast<size_t>(count));
  parallel_for(count, default_grain, [&](int64_t begin, int64_t end) {
    std::copy(values + begin, values + end, wide.begin() + begin);
  });
  return wide;
}

}  // namespace

void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
          const simt::bfloat16* a, const simt::bfloat16* b, bool accumulate, float* c) {
  if (onednn_is_used() && onednn_takes(bfloat16) &&
      gemm_onednn(transpose_a, transpose_b, m, n, k, a, b, accumulate, c)) {
    return;
  }
  gemm(transpose_a, transpose_b, m, n, k, widened(a, m * k).data(), widened(b, k * n).data(),
       accumulate, c);
}

void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
          const simt::bfloat16* a, const simt::bfloat16* b, bool accumulate, simt::bfloat16* c) {
  if (!accumulate && onednn_is_used() && onednn_takes(bfloat16) &&
      gemm_onednn(transpose_a, transpose_b, m, n, k, a, b, accumulate, c)) {
    return;
  }
  std::vector<float> wide = accumulate ? widened(c, m * n) : std::vector<float>();
  wide.resize(static_cast<size_t>(m * n));
  gemm(transpose_a, transpose_b, m, n, k, a, b, accumulate, wide.data());
  parallel_for(m * n, default_grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      c[i] = static_cast<simt::bfloat16>(wide[static_cast<size_t>(i)]);
    }
  });
}

}  // namespace warptape
