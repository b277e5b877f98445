#include <algorithm>
#include <vector>

#include "tests/emulator/engine/run_kernel.h"

namespace warptape::simt {
namespace {

constexpr unsigned masks[] = {0xFFFFFFFFu, 0x0000FFFFu, 0xF0F00001u, 0x00000004u};

// Integers that repeat, so that matches are neither all nor none.
std::vector<unsigned> values(unsigned modulus) {
  std::vector<unsigned> result(32);
  for (unsigned i = 0; i < 32; ++i) {
    result[i] = i * 2654435761u >> 7;
    result[i] %= modulus;
  }
  return result;
}

struct Votes {
  unsigned ballot, any, all;
  unsigned match_any, match_all, matched_all;
};

__global__ void vote(unsigned mask, const unsigned* in, Votes* out) {
  const unsigned lane = threadIdx.x;
  if ((mask >> lane & 1u) == 0) {
    return;
  }
  const int predicate = in[lane] == 0 ? 0 : 8;
  int matched = -1;
  Votes votes{};
  votes.ballot = __ballot_sync(mask, predicate);
  votes.any = __any_sync(mask, predicate) != 0;
  votes.all = __all_sync(mask, predicate) != 0;
  votes.match_any = __match_any_sync(mask, in[lane]);
  votes.match_all = __match_all_sync(mask, in[lane], &matched);
  votes.matched_all = matched != 0;
  out[lane] = votes;
}

TEST(Vote, BallotAnyAllAndMatch) {
  for (unsigned mask : masks) {
    for (unsigned modulus : {1u, 2u, 5u, 1000000u}) {
      std::vector<unsigned> in = values(modulus);
      std::vector<Votes> out(32);
      run_kernel({.grid = 1, .block = 32}, vote, mask, static_cast<const unsigned*>(in.data()),
                 out.data());
      unsigned nonzero = 0;
      for (unsigned lane = 0; lane < 32; ++lane) {
        nonzero |= (in[lane] != 0 ? 1u : 0u) << lane;
      }
      for (unsigned lane = 0; lane < 32; ++lane) {
        if ((mask >> lane & 1u) == 0) {
          continue;
        }
        unsigned equal = 0;
        for (unsigned other = 0; other < 32; ++other) {
          equal |= (in[other] == in[lane] ? 1u : 0u) << other;
        }
        equal &= mask;
        const Votes& got = out[lane];
        EXPECT_EQ(got.ballot, nonzero & mask);
        EXPECT_EQ(got.any, (nonzero & mask) != 0);
        EXPECT_EQ(got.all, (nonzero & mask) == mask);
        EXPECT_EQ(got.match_any, equal);
        EXPECT_EQ(got.match_all, equal == mask ? mask : 0);
        EXPECT_EQ(got.matched_all, equal == mask);
      }
    }
  }
}

__global__ void match_floats(const float* in, unsigned* out) {
  out[threadIdx.x] = __match_any_sync(0xFFFFFFFFu, in[threadIdx.x]);
}

// By bits, as in CUDA: 0 and -0 differ.
TEST(Vote, MatchComparesBits) {
  std::vector<float> in(32, 0.0f);
  in[3] = -0.0f;
  std::vector<unsigned> out(32);
  run_kernel({.grid = 1, .block = 32}, match_floats, static_cast<const float*>(in.data()),
             out.data());
  EXPECT_EQ(out[3], 1u << 3);
  EXPECT_EQ(out[0], ~(1u << 3));
}

struct Reductions {
  unsigned sum, smallest, largest, all_bits, any_bits, odd_bits;
};

__global__ void reduce(unsigned mask, const unsigned* in, Reductions* out) {
  const unsigned lane = threadIdx.x;
  if ((mask >> lane & 1u) == 0) {
    return;
  }
  out[lane] = {__reduce_add_sync(mask, in[lane]), __reduce_min_sync(mask, in[lane]),
               __reduce_max_sync(mask, in[lane]), __reduce_and_sync(mask, in[lane]),
               __reduce_or_sync(mask, in[lane]),  __reduce_xor_sync(mask, in[lane])};
}

TEST(Vote, Reductions) {
  for (unsigned mask : masks) {
    // The sum wraps around at 2^32.
    const std::vector<unsigned> in = values(0xFFFFFFF0u);
    std::vector<Reductions> out(32);
    run_kernel({.grid = 1, .block = 32}, reduce, mask, in.data(), out.data());
    Reductions expected{0, ~0u, 0, ~0u, 0, 0};
    for (unsigned lane = 0; lane < 32; ++lane) {
      if ((mask >> lane & 1u) != 0) {
        expected.sum += in[lane];
        expected.smallest = std::min(expected.smallest, in[lane]);
        expected.largest = std::max(expected.largest, in[lane]);
        expected.all_bits &= in[lane];
        expected.any_bits |= in[lane];
        expected.odd_bits ^= in[lane];
      }
    }
    for (unsigned lane = 0; lane < 32; ++lane) {
      if ((mask >> lane & 1u) != 0) {
        EXPECT_EQ(out[lane].sum, expected.sum);
        EXPECT_EQ(out[lane].smallest, expected.smallest);
        EXPECT_EQ(out[lane].largest, expected.largest);
        EXPECT_EQ(out[lane].all_bits, expected.all_bits);
        EXPECT_EQ(out[lane].any_bits, expected.any_bits);
        EXPECT_EQ(out[lane].odd_bits, expected.odd_bits);
      }
    }
  }
}

__global__ void reduce_signed(const int* in, int* sum, int* smallest, int* largest) {
  sum[threadIdx.x] = __reduce_add_sync(0xFFFFFFFFu, in[threadIdx.x]);
  smallest[threadIdx.x] = __reduce_min_sync(0xFFFFFFFFu, in[threadIdx.x]);
  largest[threadIdx.x] = __reduce_max_sync(0xFFFFFFFFu, in[threadIdx.x]);
}

TEST(Vote, ReductionsOfSignedNumbers) {
  std::vector<int> in(32);
  for (int i = 0; i < 32; ++i) {
    in[static_cast<size_t>(i)] = 10 - i;
  }
  std::vector<int> sum(32), smallest(32), largest(32);
  run_kernel({.grid = 1, .block = 32}, reduce_signed, static_cast<const int*>(in.data()),
             sum.data(), smallest.data(), largest.data());
  EXPECT_EQ(sum, std::vector<int>(32, 320 - 496));
  EXPECT_EQ(smallest, std::vector<int>(32, -21));
  EXPECT_EQ(largest, std::vector<int>(32, 10));
}

}  // namespace
}  // namespace warptape::simt
