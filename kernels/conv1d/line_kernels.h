#pragma once
// The inner loops of lines.cpp, of which there is one set per level of instructions.

#include <cstdint>

#include "kernels/conv1d/line_pairs.h"

namespace warptape::lines {

// One sequence of a batch, or a part of its outputs:
//   out[a][t] = bias[a] + sum over b, k of weights[b][k][a] in[b][t + shift + k * step]
// for a block of channels a and begin <= t < end, or adds that to what is there. What lies beside a
// line of `in` counts as zero.
struct Accumulation {
  const float* in;   // (channels, in_length)
  int64_t channels;  // b
  int64_t in_length;
  const float* weights;  // packed: (channels, taps, block)
  int64_t taps;
  int64_t shift;
  int64_t step;
  const float* bias;  // block of them, or nullptr
  float* out;         // (block, out_length)
  int64_t out_length;
  bool adds;
  int64_t begin;
  int64_t end;
};

// Partial sums over a span of time for a block of output channels o and some input channels c:
//   sums[k][o][c][lane] += dy[o][t] x[c][at + t + k * step]
// over the 0 <= t < length whose element lies in the line, dealt out to the lanes. The fewer
// vectors of dy straddle two lines of a cache the better: it should be aligned.
struct Correlation {
  const float* dy;  // (block, dy_length), of which `length` count
  int64_t dy_length;
  int64_t length;
  const float* x;  // (inputs, x_length)
  int64_t x_length;
  int64_t taps;
  int64_t at;
  int64_t step;
  float* sums;  // (taps, block, inputs, lanes)
};

// Of multiply_and_add: enough to hide how long one takes, few enough for 16 registers.
constexpr int fma_chains = 12;

constexpr int most_outputs = 9;  // of a correlation, at any level

struct Level {
  int64_t lanes;
  int64_t largest_block;        // of accumulate
  int64_t largest_correlation;  // block of output channels,
  int64_t largest_inputs;       // and of input channels beside it
  // By size of the block, from 1 on.
  void (*accumulate[9])(const Accumulation&);
  void (*correlate[most_outputs + 1][4])(const Correlation&);
  // to[i] = the sum of the lanes of vector i.
  void (*add_lanes)(const float* vectors, int64_t count, float* to);
  float (*sum)(const float* from, int64_t count);
  // So many rounds of fma_chains multiply-adds of vectors; returns something of their results.
  float (*multiply_and_add)(int64_t rounds);
  const PairLoops* pairs;
};

namespace baseline {
extern const Level level;
}
namespace avx2 {
extern const Level level;
}
namespace avx512 {
extern const Level level;
}

}  // namespace warptape::lines
