#pragma once
// The inner loops of lines.cpp, of which there is one set per level of instructions.

#include <cstdint>

namespace warptape::lines {

// One sequence of a batch, or a part of its outputs:
//   out[a][t] = bias[a] + sum over b, k of weights[b][k][a] in[b][t + shift + k * step]
// for a block of channels a and begin <= t < end. What lies beside a line of `in` counts as zero.
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
  int64_t begin;
  int64_t end;
};

// Partial sums over time for a block of output channels o and one input channel:
//   sums[o][k][lane] += dy[o][t] x[t + shift + k * step], lane = t modulo lanes
struct Correlation {
  const float* dy;  // (block, length)
  int64_t length;
  const float* x;    // one line with `before` zeros in front of it, and zeros behind it as far as
                     // any tap of a whole vector reads
  int64_t x_length;  // without those
  int64_t before;
  int64_t taps;
  int64_t shift;
  int64_t step;
  float* sums;  // (block, taps, lanes)
};

struct Level {
  int64_t lanes;
  int64_t largest_block;        // of accumulate
  int64_t largest_correlation;  // block
  // By size of the block, from 1 on.
  void (*accumulate[9])(const Accumulation&);
  void (*correlate[7])(const Correlation&);
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
