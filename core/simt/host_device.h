#pragma once
// Marks a function that is written once for the CPU and for CUDA kernels.

#ifdef __CUDACC__
#define WARPTAPE_HOST_DEVICE __host__ __device__
#else
#define WARPTAPE_HOST_DEVICE
#endif
