// Kernels for the test of machine_code.py: each planted_REASON must be rejected for that reason,
// and each clean_... must pass. Built without the warnings that refuse some of them earlier.

#include <cuda_fp16.h>

__global__ void clean_vector(const float4* from, float4* to, int* count) {
  to[threadIdx.x] = from[threadIdx.x];
  atomicAdd(count, 1);  // integers may: any order gives the same sum
}

__global__ void clean_swap(int* word, int value) {
  atomicCAS(word, 0, value);
}

// Dynamic indices put the array into local memory, on the stack.
__global__ void planted_local(const int* index, float* to) {
  float values[64];
  for (int i = 0; i < 64; ++i) {
    values[i] = static_cast<float>(index[i]);
  }
  for (int i = 0; i < 64; ++i) {
    values[index[i] & 63] += 1.0f;
  }
  to[threadIdx.x] = values[index[threadIdx.x] & 63];
}

// A call that is not inlined, with an array handed on by address.
__device__ __noinline__ void clean_fill(float* values, int count) {
  for (int i = 0; i < count; ++i) {
    values[i] = static_cast<float>(i * i);
  }
}
__global__ void planted_stack(float* to, int count) {
  float values[8];
  clean_fill(values, count);
  to[threadIdx.x] = values[count & 7];
}

__global__ void planted_atomic(float* sum) {
  // As a kernel could do it behind the vocabulary's back.
  asm volatile("red.global.add.f32 [%0], %1;" ::"l"(sum), "f"(1.0f) : "memory");
}
__global__ void planted_atomic(double* sum) {
  atomicAdd(sum, 1.0);
}

// There is no such instruction for shared memory: a loop around a compare-and-swap.
__global__ void planted_swap(const float* from, float* to) {
  __shared__ float sum;
  if (threadIdx.x == 0) {
    sum = 0.0f;
  }
  __syncthreads();
  atomicAdd(&sum, from[threadIdx.x]);
  __syncthreads();
  to[0] = sum;
}

__global__ void planted_swap_half(const __half* from, __half* to) {
  __shared__ __half sum[2];
  sum[threadIdx.x & 1] = __float2half(0.0f);
  __syncthreads();
  atomicAdd(&sum[threadIdx.x & 1], from[threadIdx.x]);
  __syncthreads();
  to[0] = sum[0];
}

__global__ void planted_scalar(const float* from, float* to) {
  to[threadIdx.x] = from[threadIdx.x];
}
