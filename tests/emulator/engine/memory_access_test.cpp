// 16-byte accesses and asynchronous copies.

#include <cmath>
#include <numeric>
#include <vector>

#include "tests/emulator/engine/run_kernel.h"

namespace warptape::simt {
namespace {

template <class T>
__global__ void negate16(const T* in, T* out) {
  const size_t first = size_t{pack_size<T>} * threadIdx.x;
  Pack16<T> pack = load16(in + first);
  for (int i = 0; i < pack_size<T>; ++i) {
    pack[i] = static_cast<T>(-pack[i]);
  }
  store16(out + first, pack);
}

template <class T>
void expect_negated() {
  const size_t elements = size_t{pack_size<T>} * 33;
  std::vector<Pack16<T>> in(33), out(33);  // aligned
  T* from = in[0].values;
  std::iota(from, from + elements, T{1});
  run_kernel({.grid = 1, .block = 33}, negate16<T>, static_cast<const T*>(from),
             static_cast<T*>(out[0].values));
  for (size_t i = 0; i < elements; ++i) {
    EXPECT_EQ(out[0].values[i], static_cast<T>(-from[i]));
  }
}

TEST(MemoryAccess, SixteenBytesOfEveryType) {
  expect_negated<float>();
  expect_negated<double>();
  expect_negated<int>();
  expect_negated<short>();
  expect_negated<signed char>();
}

__global__ void load_misaligned(const float* in, float* out) {
  out[threadIdx.x] = load16(in + 4 * threadIdx.x + (threadIdx.x == 3 ? 1 : 0))[0];
}
__global__ void store_misaligned(float* out) {
  store16(out + 2 * threadIdx.x, Pack16<float>{});
}

// Every thread but the first at an odd multiple of 8 bytes; of `shift` bytes more.
__global__ void store_half(short* out, int shift) {
  store8(out + 12 * threadIdx.x + shift / 2, Pack8<short>{1, 2, 3, 4});
}

TEST(MemoryAccess, EightBytes) {
  std::vector<Pack16<short>> memory(40);
  short* shorts = memory[0].values;
  run_kernel({.grid = 1, .block = 20}, store_half, shorts, 0);
  for (int i = 0; i < 12 * 20; ++i) {
    EXPECT_EQ(shorts[i], i % 12 < 4 ? i % 12 + 1 : 0) << i;
  }
  expect_parts(kernel_error({.grid = 1, .block = 1}, store_half, shorts, 4),
               {"store8: the address", "is not aligned to 8 bytes", "thread 0"});
}

TEST(MemoryAccess, MisalignedIsAnError) {
  std::vector<Pack16<float>> memory(40);
  float* floats = memory[0].values;
  std::vector<float> out(8);
  expect_parts(kernel_error({.grid = 1, .block = 8, .name = "shifted"}, load_misaligned,
                            static_cast<const float*>(floats), out.data()),
               {"[shifted] load16: the address", "is not aligned to 16 bytes", "thread 3"});
  expect_parts(kernel_error({.grid = 1, .block = 2}, store_misaligned, floats),
               {"store16: the address", "thread 1"});
  EXPECT_EQ(kernel_error({.grid = 1, .block = 1}, store_misaligned, floats), "");
}

// bytes: of 16, the rest becomes zero.
__global__ void copy_part(const float* in, unsigned bytes, float* out) {
  WARPTAPE_SHARED(float, staged, [4 * 32]);
  float* own = staged + 4 * threadIdx.x;
  cp_async16(own, in + 4 * threadIdx.x, bytes);
  cp_async_commit();
  cp_async_wait<0>();
  for (int i = 0; i < 4; ++i) {
    out[4 * threadIdx.x + i] = own[i];
  }
}

TEST(MemoryAccess, AsynchronousCopyFillsUpWithZeros) {
  std::vector<Pack16<float>> memory(32);
  float* in = memory[0].values;
  std::iota(in, in + 128, 1.0f);
  for (unsigned bytes : {0u, 4u, 8u, 12u, 16u}) {
    std::vector<float> out(128, -1.0f);
    run_kernel({.grid = 1, .block = 32}, copy_part, static_cast<const float*>(in), bytes,
               out.data());
    for (unsigned i = 0; i < 128; ++i) {
      EXPECT_EQ(out[i], i % 4 < bytes / 4 ? in[i] : 0.0f) << bytes;
    }
  }
}

// Of nothing, not even the address is read: a row beyond the end of a tensor.
TEST(MemoryAccess, AsynchronousCopyOfNothingReadsNothing) {
  std::vector<float> out(4, -1.0f);
  run_kernel({.grid = 1, .block = 1}, copy_part, static_cast<const float*>(nullptr), 0u,
             out.data());
  EXPECT_EQ(out, std::vector<float>(4, 0.0f));
}

TEST(MemoryAccess, AsynchronousCopyOfTooMuchIsAnError) {
  Pack16<float> in{};
  std::vector<float> out(4);
  expect_parts(kernel_error({.grid = 1, .block = 1}, copy_part,
                            static_cast<const float*>(in.values), 17u, out.data()),
               {"cp_async16: 17 bytes, wanted at most 16", "thread 0"});
}

// One thread's target or source lies elsewhere than it should.
enum class Wrong { Nothing, TargetInDeviceMemory, TargetOnTheStack, SourceInSharedMemory };
__global__ void copy_between(Wrong wrong, const float* in, float* out) {
  WARPTAPE_SHARED(float, staged, [4 * 64]);
  alignas(16) float own[4];
  float* to = staged + 4 * threadIdx.x;
  const float* from = in;
  if (blockIdx.x == 1 && threadIdx.x == 40) {
    to = wrong == Wrong::TargetInDeviceMemory ? out : wrong == Wrong::TargetOnTheStack ? own : to;
    from = wrong == Wrong::SourceInSharedMemory ? staged : in;
  }
  cp_async16(to, from);
  cp_async_commit();
  cp_async_wait<0>();
}

TEST(MemoryAccess, AsynchronousCopyGoesFromDeviceToSharedMemory) {
  Pack16<float> in{};
  Pack16<float> out{{1, 2, 3, 4}};
  const auto error = [&](Wrong wrong) {
    return kernel_error({.grid = 2, .block = 64, .name = "between"}, copy_between, wrong,
                        static_cast<const float*>(in.values), &out.values[0]);
  };
  EXPECT_EQ(error(Wrong::Nothing), "");
  const std::vector<std::string> place = {"[between] cp_async16", "thread 40, in block (1, 0, 0)"};
  for (Wrong target : {Wrong::TargetInDeviceMemory, Wrong::TargetOnTheStack}) {
    expect_parts(error(target), place);
    expect_parts(error(target), {"cp_async16 to: the address", "is not in the block's shared"});
  }
  EXPECT_EQ(out[0], 1);
  expect_parts(error(Wrong::SourceInSharedMemory), place);
  expect_parts(error(Wrong::SourceInSharedMemory),
               {"cp_async16 from: the address", "is in shared memory, wanted device memory"});
}

// Three groups under way; seen[k][g] is what group g holds once at most k are left.
__global__ void watch_groups(const float* in, float* seen) {
  WARPTAPE_SHARED(float, staged, [4 * 4]);
  for (int group = 0; group < 3; ++group) {
    cp_async16(staged + 4 * group, in + 4 * group);
    if (group == 1) {  // two copies in one group
      cp_async16(staged + 12, in + 12);
    }
    cp_async_commit();
  }
  const auto look = [&](int row) {
    for (int i = 0; i < 4; ++i) {
      seen[4 * row + i] = staged[4 * i];
    }
  };
  cp_async_wait<3>();
  look(3);
  cp_async_wait<2>();
  look(2);
  cp_async_wait<1>();
  look(1);
  cp_async_wait<0>();
  look(0);
}

TEST(MemoryAccess, AsynchronousCopiesArriveGroupByGroupAndAreNaNBefore) {
  std::vector<Pack16<float>> memory(4);
  float* in = memory[0].values;
  std::iota(in, in + 16, 1.0f);
  std::vector<float> seen(16);
  run_kernel({.grid = 1, .block = 1}, watch_groups, static_cast<const float*>(in), seen.data());
  const int group_of[] = {0, 1, 2, 1};
  for (int left = 0; left <= 3; ++left) {
    for (int i = 0; i < 4; ++i) {
      const float got = seen[static_cast<size_t>(4 * left + i)];
      if (group_of[i] < 3 - left) {
        EXPECT_EQ(got, in[4 * i]) << left << " left";
      } else {
        EXPECT_TRUE(std::isnan(got)) << left << " left";
      }
    }
  }
}

// What was not committed is not waited for.
__global__ void forget_commit(const float* in, float* out) {
  WARPTAPE_SHARED(float, staged, [4]);
  staged[0] = 1;
  cp_async16(staged, in);
  cp_async_wait<0>();
  *out = staged[0];
}

TEST(MemoryAccess, AnUncommittedCopyStaysNaN) {
  Pack16<float> in{};
  float out = 0;
  run_kernel({.grid = 1, .block = 1}, forget_commit, static_cast<const float*>(in.values), &out);
  EXPECT_TRUE(std::isnan(out));
}

// A double-buffered pipeline, as in a matrix product. Safe: the correct one; otherwise it reads the
// next tile before its copy has arrived.
template <bool Safe>
__global__ void sum_tiles(const float* in, int tiles, float* out) {
  WARPTAPE_SHARED(float, staged, [2][4 * 64]);
  const auto start = [&](int tile) {
    cp_async16(staged[tile % 2] + 4 * threadIdx.x, in + 256 * tile + 4 * threadIdx.x);
    cp_async_commit();
  };
  float sum = 0;
  start(0);
  for (int tile = 0; tile < tiles; ++tile) {
    if (tile + 1 < tiles) {
      start(tile + 1);
    } else {
      cp_async_commit();  // an empty group keeps the count
    }
    cp_async_wait<Safe ? 1 : 2>();
    __syncthreads();
    for (int i = 0; i < 4; ++i) {
      sum += staged[tile % 2][(4 * threadIdx.x + 5 + i) % 256];
    }
    __syncthreads();
  }
  out[threadIdx.x] = sum;
}

template <bool Safe>
bool tiles_add_up() {
  constexpr int tiles = 5;
  std::vector<Pack16<float>> memory(64 * tiles);
  float* in = memory[0].values;
  for (int i = 0; i < 256 * tiles; ++i) {
    in[i] = static_cast<float>(i % 97);
  }
  std::vector<float> out(64);
  run_kernel({.grid = 1, .block = 64, .name = "sum_tiles"}, sum_tiles<Safe>,
             static_cast<const float*>(in), tiles, out.data());
  for (int thread = 0; thread < 64; ++thread) {
    float expected = 0;
    for (int tile = 0; tile < tiles; ++tile) {
      for (int i = 0; i < 4; ++i) {
        expected += in[256 * tile + (4 * thread + 5 + i) % 256];
      }
    }
    if (out[static_cast<size_t>(thread)] != expected) {
      return false;
    }
  }
  return true;
}

TEST(MemoryAccess, APipelineThatWaitsIsRight) {
  expect_always_right(tiles_add_up<true>);
}

// It reads NaN whatever the order; there is no race to see.
TEST(MemoryAccess, APipelineThatReadsTooEarlyIsWrong) {
  for_each_seed(20, [] { EXPECT_FALSE(tiles_add_up<false>()); });
}

}  // namespace
}  // namespace warptape::simt
