// Stands for every *_cublas.cpp in a build without cuBLASLt.

#include "core/element_types.h"
#include "kernels/matmul/gemm_cuda.h"
#include "kernels/vendor/gpu_libraries.h"

namespace warptape {

const GpuLibrary& cublas_library() {
  static const auto* absent = new GpuLibrary{"", WARPTAPE_CUBLAS_ABSENT};
  return *absent;
}

template <class T>
bool gemm_cublas(const char*, const GemmProblem&, const T*, const T*, const GemmEpilogue<T>&, T*) {
  count_gpu_library_call();
  return false;
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                     \
  template bool gemm_cublas(const char*, const GemmProblem&, const T*, const T*, \
                            const GemmEpilogue<T>&, T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape
