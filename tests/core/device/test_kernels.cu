#include "tests/core/device/test_kernels.h"

#include "core/device/launch.h"
#include "core/device/report.cuh"

namespace warptape::test_kernels {
namespace {

constexpr unsigned threads = 64;

__device__ int64_t global_index() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

LaunchConfig config(const char* name, int64_t n, gpu::StreamHandle stream) {
  return {.grid = static_cast<unsigned>((n + threads - 1) / threads),
          .block = threads,
          .stream = stream,
          .name = name};
}

__global__ void add_kernel(float* values, int64_t n, float amount) {
  const int64_t i = global_index();
  if (i < n) {
    values[i] += amount;
  }
}

__global__ void add_at_kernel(float* values, int64_t index, float amount) {
  if (global_index() == 0) {
    values[index] += amount;
  }
}

__global__ void add_from_kernel(float* values, int64_t n, const float* amount) {
  const int64_t i = global_index();
  if (i < n) {
    values[i] += *amount;
  }
}

__global__ void scale_kernel(const float* from, float* to, int64_t n, float factor) {
  const int64_t i = global_index();
  if (i < n) {
    to[i] = factor * from[i];
  }
}

__global__ void clamp_kernel(float* values, int64_t n, int code, gpu::ErrorReport* report) {
  const int64_t i = global_index();
  if (i >= n || values[i] >= 0) {
    return;
  }
  report_fault(report, code, i, static_cast<int64_t>(values[i]));
  values[i] = 0;
}

struct Pair {
  const float* from;
  float* to;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(from);
    visit(to);
  }
};

enum class Listed { To, From, BothAsRead };

template <Listed listed>
struct BadPair {
  const float* from;
  float* to;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    if constexpr (listed != Listed::To) {
      visit(from);
    }
    if constexpr (listed == Listed::To) {
      visit(to);
    } else if constexpr (listed == Listed::BothAsRead) {
      visit(static_cast<const float*>(to));
    }
  }
};

template <Listed listed>
__global__ void copy_bad_pair_kernel(BadPair<listed> pair, int64_t n) {
  const int64_t i = global_index();
  if (i < n) {
    pair.to[i] = pair.from[i];
  }
}

__global__ void copy_pair_kernel(Pair pair, int64_t n) {
  const int64_t i = global_index();
  if (i < n) {
    pair.to[i] = pair.from == nullptr ? 0 : pair.from[i];
  }
}

__global__ void reverse_kernel(float* values, int64_t n) {
  float* staged = simt::dynamic_shared<float>();
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    staged[i] = values[i];
  }
  __syncthreads();
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    values[i] = staged[n - 1 - i];
  }
}

}  // namespace

void add(float* values, int64_t n, float amount, gpu::StreamHandle stream) {
  launch(add_kernel, config("add", n, stream), values, n, amount);
}

void add_at(float* values, int64_t index, float amount, gpu::StreamHandle stream) {
  launch(add_at_kernel, config("add_at", 1, stream), values, index, amount);
}

void add_from(float* values, int64_t n, const float* amount, gpu::StreamHandle stream) {
  launch(add_from_kernel, config("add_from", n, stream), values, n, amount);
}

void scale(const float* from, float* to, int64_t n, float factor, gpu::StreamHandle stream) {
  launch(scale_kernel, config("scale", n, stream), from, to, n, factor);
}

void clamp(float* values, int64_t n, int code, gpu::ErrorReport* report, gpu::StreamHandle stream) {
  launch(clamp_kernel, config("clamp", n, stream), values, n, code, report);
}

void copy_pair(const float* from, float* to, int64_t n, gpu::StreamHandle stream) {
  launch(copy_pair_kernel, config("copy_pair", n, stream), Pair{from, to}, n);
}

void copy_from_unlisted(const float* from, float* to, int64_t n, gpu::StreamHandle stream) {
  launch(copy_bad_pair_kernel<Listed::To>, config("copy_from_unlisted", n, stream),
         BadPair<Listed::To>{from, to}, n);
}

void copy_to_unlisted(const float* from, float* to, int64_t n, gpu::StreamHandle stream) {
  launch(copy_bad_pair_kernel<Listed::From>, config("copy_to_unlisted", n, stream),
         BadPair<Listed::From>{from, to}, n);
}

void copy_to_const(const float* from, float* to, int64_t n, gpu::StreamHandle stream) {
  launch(copy_bad_pair_kernel<Listed::BothAsRead>, config("copy_to_const", n, stream),
         BadPair<Listed::BothAsRead>{from, to}, n);
}

void reverse(float* values, int64_t n, unsigned threads, gpu::StreamHandle stream) {
  launch(reverse_kernel,
         {.grid = 1,
          .block = threads,
          .smem = static_cast<size_t>(n) * sizeof(float),
          .stream = stream,
          .name = "reverse"},
         values, n);
}

}  // namespace warptape::test_kernels
