#include "core/parallel.h"
#include "kernels/matmul/gemm.h"
#include "kernels/vendor/onednn_common.h"

namespace warptape {

bool gemm_onednn(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                 const float* a, const float* b, bool accumulate, float* c) {
  if (m == 0 || n == 0 || k == 0) {
    return false;
  }
  detail::begin_team();
  const dnnl_status_t status =
      dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a,
                 transpose_a ? m : k, b, transpose_b ? k : n, accumulate ? 1.0f : 0.0f, c, n);
  return status == dnnl_success;
}

}  // namespace warptape
