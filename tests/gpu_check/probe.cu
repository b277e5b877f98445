#include <cuda_runtime_api.h>

#include "core/simt/reduce.cuh"

namespace warptape {

__global__ void probe(float* values) {
  values[threadIdx.x] = simt::warp_sum(values[threadIdx.x]);
}

int registers_of_probe() {
  cudaFuncAttributes attributes{};
  return cudaFuncGetAttributes(&attributes, probe) == cudaSuccess ? attributes.numRegs : 0;
}

}  // namespace warptape
