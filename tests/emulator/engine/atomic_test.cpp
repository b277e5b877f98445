#include <algorithm>
#include <vector>

#include "tests/emulator/engine/run_kernel.h"

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

// CUDA C++ Programming Guide: ((old >= val) ? 0 : (old + 1)), and
// ((old == 0) || (old > val)) ? val : (old - 1).
__global__ void step_once(unsigned* up, unsigned* down, unsigned last, unsigned* before) {
  before[0] = atomicInc(up, last);
  before[1] = atomicDec(down, last);
}

TEST(Atomic, CountersWrapAround) {
  constexpr unsigned most = ~0u;
  const struct {
    unsigned start, last, up, down;
  } cases[] = {
      {0, 9, 1, 9},    {1, 9, 2, 0}, {8, 9, 9, 7}, {9, 9, 0, 8},       {10, 9, 0, 9},
      {most, 9, 0, 9}, {0, 0, 0, 0}, {1, 0, 0, 0}, {0, most, 1, most}, {most, most, 0, most - 1}};
  for (const auto& [start, last, up, down] : cases) {
    unsigned counters[2] = {start, start};
    unsigned before[2] = {};
    run_kernel({.grid = 1, .block = 1}, step_once, &counters[0], &counters[1], last, &before[0]);
    EXPECT_EQ(counters[0], up) << start << " of " << last;
    EXPECT_EQ(counters[1], down) << start << " of " << last;
    EXPECT_EQ(before[0], start);
    EXPECT_EQ(before[1], start);
  }
}

__global__ void step_all(unsigned* up, unsigned* down, unsigned last, unsigned* seen) {
  atomicAdd(&seen[atomicInc(up, last)], 1);
  atomicAdd(&seen[atomicDec(down, last)], 1);
}

TEST(Atomic, CountersOfManyBlocksMissNoStep) {
  const SettingsGuard guard;
  settings().workers = 4;
  constexpr unsigned steps = 100;  // `blocks * threads` is a multiple of it
  unsigned up = 0;
  unsigned down = 0;
  std::vector<unsigned> seen(steps);
  run_kernel({.grid = blocks, .block = threads}, step_all, &up, &down, steps - 1, seen.data());
  EXPECT_EQ(up, 0U);
  EXPECT_EQ(down, 0U);
  EXPECT_EQ(seen, std::vector<unsigned>(steps, 2 * blocks * threads / steps));
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
template <class T>
concept HasCounters = requires(T* address, T value) {
  atomicInc(address, value);
  atomicDec(address, value);
};

// A sum of floats in the order of arrival is not deterministic.
TEST(Atomic, FloatingPointAtomicsDoNotCompile) {
  static_assert(HasAtomicAdd<int> && HasOtherAtomics<int>);
  static_assert(!HasAtomicAdd<float> && !HasOtherAtomics<float>);
  static_assert(!HasAtomicAdd<double> && !HasOtherAtomics<double>);
  static_assert(!HasAtomicAdd<bfloat16> && !HasOtherAtomics<bfloat16>);
  static_assert(HasCounters<unsigned> && !HasCounters<int> && !HasCounters<float>);
}

}  // namespace
}  // namespace warptape::simt
