#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "tests/emulator/engine/run_kernel.h"

namespace warptape::simt {
namespace {

enum class Kind { Indexed, Xor, Up, Down };

template <class T>
__global__ void shuffle(Kind kind, unsigned mask, int argument, int width, const T* in, T* out) {
  const unsigned lane = threadIdx.x % 32;
  if ((mask >> lane & 1u) == 0) {
    return;
  }
  const T value = in[threadIdx.x];
  T result{};
  switch (kind) {
    case Kind::Indexed:
      result = __shfl_sync(mask, value, argument, width);
      break;
    case Kind::Xor:
      result = __shfl_xor_sync(mask, value, argument, width);
      break;
    case Kind::Up:
      result = __shfl_up_sync(mask, value, static_cast<unsigned>(argument), width);
      break;
    case Kind::Down:
      result = __shfl_down_sync(mask, value, static_cast<unsigned>(argument), width);
      break;
  }
  out[threadIdx.x] = result;
}

// The source lane by the words of the CUDA programming guide: out of range keeps the own value, and
// xor may reach into earlier segments but not into later ones.
int source_lane(Kind kind, int lane, int argument, int width) {
  const int first = lane / width * width;
  switch (kind) {
    case Kind::Indexed:
      return first + ((argument % width) + width) % width;
    case Kind::Xor:
      return (lane ^ argument) < first + width ? lane ^ argument : lane;
    case Kind::Up:
      return lane - argument >= first ? lane - argument : lane;
    case Kind::Down:
      return lane + argument < first + width ? lane + argument : lane;
  }
  return lane;
}

template <class T>
void expect_shuffles(Kind kind, unsigned mask) {
  constexpr unsigned threads = 64;
  std::vector<T> in(threads);
  std::iota(in.begin(), in.end(), T{100});
  for (int width : {1, 2, 4, 8, 16, 32}) {
    for (int argument : {0, 1, 2, 3, 5, 8, 16, 31}) {
      std::vector<T> out(threads, T{-1});
      run_kernel({.grid = 1, .block = threads}, shuffle<T>, kind, mask, argument, width,
                 static_cast<const T*>(in.data()), out.data());
      for (int i = 0; i < static_cast<int>(threads); ++i) {
        const int lane = i % 32;
        const int source = source_lane(kind, lane, argument, width);
        T expected{-1};
        if ((mask >> lane & 1u) == 0) {
          expected = T{-1};  // took no part
        } else if ((mask >> source & 1u) != 0) {
          expected = in[static_cast<size_t>(i - lane + source)];
        } else {
          std::memset(&expected, 0xFF, sizeof expected);  // undefined in CUDA
        }
        EXPECT_EQ(std::memcmp(&out[static_cast<size_t>(i)], &expected, sizeof expected), 0)
            << "lane " << lane << ", width " << width << ", argument " << argument << ", mask "
            << mask;
      }
    }
  }
}

TEST(Shuffle, TakesTheSourceLaneOfTheGuide) {
  for (Kind kind : {Kind::Indexed, Kind::Xor, Kind::Up, Kind::Down}) {
    for (unsigned mask : {0xFFFFFFFFu, 0x0000FFFFu, 0xFF00FF00u, 0x80000001u, 0x00000010u}) {
      expect_shuffles<int>(kind, mask);
    }
  }
}

TEST(Shuffle, CarriesEveryTypeOfEightBytesAndLess) {
  for (Kind kind : {Kind::Indexed, Kind::Xor, Kind::Up, Kind::Down}) {
    expect_shuffles<float>(kind, 0xFFFFFFFFu);
    expect_shuffles<double>(kind, 0xFFFFFFFFu);
    expect_shuffles<long long>(kind, 0x00FFFF00u);
  }
}

TEST(Shuffle, AnIndexOutsideOfTheSegmentWrapsAround) {
  std::vector<int> in(32);
  std::iota(in.begin(), in.end(), 0);
  for (int index : {-1, 8, 13, 100}) {
    std::vector<int> out(32);
    run_kernel({.grid = 1, .block = 32}, shuffle<int>, Kind::Indexed, 0xFFFFFFFFu, index, 8,
               static_cast<const int*>(in.data()), out.data());
    for (int lane = 0; lane < 32; ++lane) {
      EXPECT_EQ(out[static_cast<size_t>(lane)], lane / 8 * 8 + (index & 7)) << index;
    }
  }
}

TEST(Shuffle, AWidthThatIsNoPowerOfTwoIsAnError) {
  const std::vector<int> in(32, 1);
  std::vector<int> out(32);
  for (int width : {0, 3, 64, -8}) {
    expect_parts(kernel_error({.grid = 1, .block = 32, .name = "wide"}, shuffle<int>, Kind::Down,
                              0xFFFFFFFFu, 1, width, in.data(), out.data()),
                 {"[wide] __shfl_down_sync: width " + std::to_string(width),
                  "wanted a power of two up to 32", "thread "});
  }
}

__global__ void sum_warp(const float* in, float* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  const unsigned mask = __ballot_sync(0xFFFFFFFFu, 1);
  float value = in[i];
  for (int lane_mask = 16; lane_mask > 0; lane_mask /= 2) {
    value += __shfl_xor_sync(mask, value, lane_mask);
  }
  out[i] = value;
}

TEST(Shuffle, ButterflySumsAWarp) {
  constexpr unsigned threads = 1024;
  std::vector<float> in(threads);
  std::iota(in.begin(), in.end(), 1.0f);
  for_each_seed(5, [&] {
    std::vector<float> out(threads);
    run_kernel({.grid = 4, .block = 256}, sum_warp, static_cast<const float*>(in.data()),
               out.data());
    for (unsigned i = 0; i < threads; ++i) {
      const auto first = in.begin() + i / 32 * 32;
      EXPECT_EQ(out[i], std::accumulate(first, first + 32, 0.0f)) << i;
    }
  });
}

// The last warp of a block may be a partial one: it names the lanes that exist.
__global__ void neighbour_in_partial_warp(int* out) {
  const unsigned lanes = std::min(32u, blockDim.x - threadIdx.x / 32 * 32);
  const unsigned mask = lanes == 32 ? ~0u : (1u << lanes) - 1;
  const unsigned next = (threadIdx.x % 32 + 1) % lanes;
  out[threadIdx.x] = __shfl_sync(mask, static_cast<int>(threadIdx.x), static_cast<int>(next));
}

TEST(Shuffle, PartialWarps) {
  for (unsigned threads : {1u, 5u, 31u, 33u, 50u}) {
    std::vector<int> out(threads);
    run_kernel({.grid = 1, .block = threads}, neighbour_in_partial_warp, out.data());
    for (unsigned i = 0; i < threads; ++i) {
      const unsigned first = i / 32 * 32;
      const unsigned lanes = std::min(32u, threads - first);
      EXPECT_EQ(out[i], static_cast<int>(first + (i - first + 1) % lanes)) << threads;
    }
  }
}

}  // namespace
}  // namespace warptape::simt
