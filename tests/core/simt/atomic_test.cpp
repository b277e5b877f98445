#include <algorithm>
#include <vector>

#include "tests/core/simt/run_kernel.h"

namespace warptape::simt {
namespace {

// Enough blocks of one launch for several OS threads.
constexpr unsigned blocks = 200;
constexpr unsigned threads = 128;

template <class T>
struct Results {
  T sum, difference, smallest, largest, all_bits, any_bits, odd_bits, last;
};

template <class T>
__global__ void update(Results<T>* results, T* tickets) {
  const T value = static_cast<T>(blockIdx.x * blockDim.x + threadIdx.x);
  tickets[static_cast<size_t>(value)] = atomicAdd(&results->sum, 1);
  atomicSub(&results->difference, value);
  atomicMin(&results->smallest, value);
  atomicMax(&results->largest, value);
  atomicAnd(&results->all_bits, ~(T{1} << (threadIdx.x % 7)));
  atomicOr(&results->any_bits, T{1} << (threadIdx.x % 11));
  atomicXor(&results->odd_bits, value);
  atomicExch(&results->last, value);
}

template <class T>
void expect_updates() {
  const SettingsGuard guard;
  settings().workers = 4;
  constexpr unsigned count = blocks * threads;
  Results<T> got{0, 0, T{1000}, 0, ~T{0}, 0, 0, 0};
  std::vector<T> tickets(count);
  run_kernel({.grid = blocks, .block = threads}, update<T>, &got, tickets.data());
  T sum = 0;
  T odd_bits = 0;
  for (unsigned i = 0; i < count; ++i) {
    sum += static_cast<T>(i);
    odd_bits ^= static_cast<T>(i);
  }
  EXPECT_EQ(got.sum, static_cast<T>(count));
  EXPECT_EQ(got.difference, T{0} - sum);
  EXPECT_EQ(got.smallest, T{0});
  EXPECT_EQ(got.largest, static_cast<T>(count - 1));
  EXPECT_EQ(got.all_bits, ~T{0x7F});
  EXPECT_EQ(got.any_bits, T{0x7FF});
  EXPECT_EQ(got.odd_bits, odd_bits);
  EXPECT_LT(got.last, static_cast<T>(count));
  // Every thread got a ticket of its own: the value before its addition.
  std::sort(tickets.begin(), tickets.end());
  for (unsigned i = 0; i < count; ++i) {
    ASSERT_EQ(tickets[i], static_cast<T>(i));
  }
}

TEST(Atomic, UpdatesFromManyBlocksAllCount) {
  expect_updates<int>();
  expect_updates<unsigned>();
  expect_updates<unsigned long long>();
}

// A sum of numbers by compare-and-swap, as one builds what CUDA has no atomic for.
__global__ void multiply_all(unsigned long long* product) {
  const unsigned long long factor = 2 * (blockIdx.x * blockDim.x + threadIdx.x) + 1;
  unsigned long long old = atomicAdd(product, 0);
  unsigned long long assumed = 0;
  do {
    assumed = old;
    old = atomicCAS(product, assumed, assumed * factor);
  } while (old != assumed);
}

TEST(Atomic, CompareAndSwap) {
  const SettingsGuard guard;
  settings().workers = 4;
  unsigned long long product = 1;
  run_kernel({.grid = blocks, .block = threads}, multiply_all, &product);
  unsigned long long expected = 1;
  for (unsigned long long i = 0; i < blocks * threads; ++i) {
    expected *= 2 * i + 1;
  }
  EXPECT_EQ(product, expected);
}

__global__ void count_in_shared(int* out) {
  WARPTAPE_SHARED(int, counter, [1]);
  if (threadIdx.x == 0) {
    counter[0] = 0;
  }
  __syncthreads();
  atomicAdd(&counter[0], 2);
  __syncthreads();
  if (threadIdx.x == 0) {
    out[blockIdx.x] = counter[0];
  }
}

TEST(Atomic, OnSharedMemory) {
  for_each_seed(5, [] {
    std::vector<int> out(20);
    run_kernel({.grid = 20, .block = 100}, count_in_shared, out.data());
    EXPECT_EQ(out, std::vector<int>(20, 200));
  });
}

template <class T>
concept HasAtomicAdd = requires(T* address, T value) {
  atomicAdd(address, value);
};
template <class T>
concept HasOtherAtomics = requires(T* address, T value) {
  atomicExch(address, value);
}
|| requires(T* address, T value) {
  atomicMax(address, value);
}
|| requires(T* address, T value) {
  atomicCAS(address, value, value);
};

// A sum of floats in the order of arrival is not deterministic.
TEST(Atomic, FloatingPointAtomicsDoNotCompile) {
  static_assert(HasAtomicAdd<int> && HasOtherAtomics<int>);
  static_assert(!HasAtomicAdd<float> && !HasOtherAtomics<float>);
  static_assert(!HasAtomicAdd<double> && !HasOtherAtomics<double>);
  static_assert(!HasAtomicAdd<bfloat16> && !HasOtherAtomics<bfloat16>);
}

}  // namespace
}  // namespace warptape::simt
