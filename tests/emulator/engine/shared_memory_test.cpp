#include <cmath>
#include <cstdint>
#include <vector>

#include "tests/emulator/engine/run_kernel.h"

namespace warptape::simt {
namespace {

struct Mixed {
  char letter;
  double number;
};

__global__ void look_at_variables(uintptr_t* addresses, size_t* sizes, int* nans) {
  WARPTAPE_SHARED(char, letters, [3]);
  WARPTAPE_SHARED(float, matrix, [5][7]);
  WARPTAPE_SHARED(double, number, );
  WARPTAPE_SHARED(Mixed, records, [2]);
  addresses[0] = reinterpret_cast<uintptr_t>(&letters);
  addresses[1] = reinterpret_cast<uintptr_t>(&matrix);
  addresses[2] = reinterpret_cast<uintptr_t>(&number);
  addresses[3] = reinterpret_cast<uintptr_t>(&records);
  sizes[0] = sizeof letters;
  sizes[1] = sizeof matrix;
  sizes[2] = sizeof number;
  sizes[3] = sizeof records;
  *nans = 0;
  for (const auto& row : matrix) {
    for (float element : row) {
      *nans += std::isnan(element);
    }
  }
  *nans += std::isnan(number);
}

TEST(SharedMemory, VariablesAreAlignedApartAndNaN) {
  uintptr_t addresses[4];
  size_t sizes[4];
  int nans = 0;
  // Twice: a second block must not find what the first one left.
  for (int round = 0; round < 2; ++round) {
    run_kernel({.grid = 1, .block = 1}, look_at_variables, &addresses[0], &sizes[0], &nans);
    EXPECT_EQ(nans, 36);
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(addresses[i] % 16, 0U);
      for (int j = 0; j < i; ++j) {
        EXPECT_TRUE(addresses[i] + sizes[i] <= addresses[j] ||
                    addresses[j] + sizes[j] <= addresses[i]);
      }
    }
  }
  EXPECT_EQ(sizes[0], 3U);
  EXPECT_EQ(sizes[1], 35 * sizeof(float));
}

__global__ void fill_blockwise(int* out) {
  WARPTAPE_SHARED(int, value, [32]);
  value[threadIdx.x] = static_cast<int>(blockIdx.x);
  __syncthreads();
  out[blockIdx.x * 32 + threadIdx.x] = value[31 - threadIdx.x];
}

TEST(SharedMemory, EveryBlockHasItsOwn) {
  const SettingsGuard guard;
  settings().workers = 4;
  std::vector<int> out(500 * 32);
  run_kernel({.grid = 500, .block = 32}, fill_blockwise, out.data());
  for (unsigned i = 0; i < out.size(); ++i) {
    EXPECT_EQ(out[i], static_cast<int>(i / 32));
  }
}

// Each instance has a variable of its own; so do two functions that use the same name.
template <class T, int N>
__device__ T* scratch() {
  WARPTAPE_SHARED(T, memory, [N]);
  return memory;
}

__global__ void use_templates(bool* distinct) {
  const void* ints = scratch<int, 4>();
  const void* more_ints = scratch<int, 8>();
  const void* floats = scratch<float, 4>();
  *distinct =
      ints != more_ints && ints != floats && more_ints != floats && scratch<int, 4>() == ints;
}

TEST(SharedMemory, TemplatesHaveTheirOwn) {
  bool distinct = false;
  run_kernel({.grid = 1, .block = 1}, use_templates, &distinct);
  EXPECT_TRUE(distinct);
}

template <class T>
__global__ void reverse_dynamic(const T* in, T* out, int* misaligned) {
  T* memory = dynamic_shared<T>();
  if (threadIdx.x == 0) {
    *misaligned = reinterpret_cast<uintptr_t>(memory) % 16 != 0;
  }
  memory[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = memory[blockDim.x - 1 - threadIdx.x];
}

template <class T>
void expect_dynamic() {
  for (unsigned threads : {1u, 33u, 256u}) {
    std::vector<T> in(threads);
    for (unsigned i = 0; i < threads; ++i) {
      in[i] = static_cast<T>(i);
    }
    std::vector<T> out(threads);
    int misaligned = -1;
    run_kernel({.grid = 1, .block = threads, .dynamic_shared = threads * sizeof(T)},
               reverse_dynamic<T>, static_cast<const T*>(in.data()), out.data(), &misaligned);
    EXPECT_EQ(out, std::vector<T>(in.rbegin(), in.rend()));
    EXPECT_EQ(misaligned, 0);
  }
}

TEST(SharedMemory, DynamicOfEveryType) {
  expect_dynamic<float>();
  expect_dynamic<double>();
  expect_dynamic<short>();
}

__global__ void read_unwritten(bool dynamic, float* out) {
  WARPTAPE_SHARED(float, memory, [64]);
  const float* from = dynamic ? dynamic_shared<float>() : memory;
  if (threadIdx.x != 5 && !dynamic) {
    memory[threadIdx.x] = 1;
  }
  __syncthreads();
  out[threadIdx.x] = from[threadIdx.x];
}

TEST(SharedMemory, WhatWasNeverWrittenReadsAsNaN) {
  std::vector<float> out(64);
  run_kernel({.grid = 1, .block = 64}, read_unwritten, false, out.data());
  for (unsigned i = 0; i < 64; ++i) {
    EXPECT_EQ(std::isnan(out[i]), i == 5) << i;
  }
  run_kernel({.grid = 1, .block = 64, .dynamic_shared = 256}, read_unwritten, true, out.data());
  for (float value : out) {
    EXPECT_TRUE(std::isnan(value));
  }
}

__global__ void use_dynamic(float* out) {
  if (blockIdx.x == 2 && threadIdx.x == 5) {
    *out = dynamic_shared<float>()[0];
  }
}

TEST(SharedMemory, DynamicThatWasNotAskedForIsAnError) {
  float out = 0;
  expect_parts(
      kernel_error({.grid = 3, .block = 32, .name = "greedy"}, use_dynamic, &out),
      {"[greedy] dynamic shared memory: the launch asked for none, thread 5", "block (2, 0, 0)"});
  EXPECT_EQ(kernel_error({.grid = 3, .block = 32, .dynamic_shared = 4}, use_dynamic, &out), "");
}

template <int KiB>
__global__ void ask_for_static(int* out) {
  WARPTAPE_SHARED(char, memory, [KiB * 1024]);
  memory[threadIdx.x] = 1;
  *out = memory[threadIdx.x];
}

// The second variable is one thread's: the limit is the block's.
__global__ void ask_late(int* out) {
  WARPTAPE_SHARED(char, memory, [99 * 1024]);
  memory[threadIdx.x] = 1;
  __syncthreads();
  if (threadIdx.x == 5) {
    WARPTAPE_SHARED(char, more, [1]);
    more[0] = memory[0];
    *out = more[0];
  }
}

TEST(SharedMemory, UpToTheLimit) {
  int out = 0;
  EXPECT_EQ(kernel_error({.grid = 1, .block = 1}, ask_for_static<99>, &out), "");
  EXPECT_EQ(
      kernel_error({.grid = 1, .block = 1, .dynamic_shared = 98 << 10}, ask_for_static<1>, &out),
      "");
  EXPECT_EQ(out, 1);
}

TEST(SharedMemory, TooMuchIsAnError) {
  int out = 0;
  expect_parts(kernel_error({.grid = 1, .block = 1, .name = "big"}, ask_for_static<100>, &out),
               {"[big] shared memory: the block asks for 102400 bytes, the limit is 101376"});
  expect_parts(kernel_error({.grid = 1, .block = 1, .dynamic_shared = (99 << 10) + 1},
                            ask_for_static<1>, &out),
               {"shared memory: the block asks for 101377 bytes"});
  expect_parts(
      kernel_error({.grid = 1, .block = 1, .dynamic_shared = 99 << 10}, ask_for_static<1>, &out),
      {"shared memory: the block asks for 102400 bytes"});
  expect_parts(kernel_error({.grid = 1, .block = 32, .name = "late"}, ask_late, &out),
               {"[late] shared memory: the block asks for 101377 bytes, the limit is 101376, "
                "thread 5, in block (0, 0, 0)"});
}

}  // namespace
}  // namespace warptape::simt
