#pragma once
// Convolutions of 3 taps by pairs of outputs that lie `dilation` apart: 4 products for a pair and
// an input channel in place of 6 (Winograd's F(2, 3)). Of filters w and the 4 inputs x that a pair
// meets:
//   m0 = (x0 - x2) u0    u0 = w0                     y0 = m0 + m1 + m2
//   m1 = (x1 + x2) u1    u1 = (w0 + w1 + w2) / 2     y1 = m1 - m2 - m3
//   m2 = (x2 - x1) u2    u2 = (w0 - w1 + w2) / 2
//   m3 = (x1 - x3) u3    u3 = w2
// Neither output has a part of what it does not meet, x3 or x0. An infinite or too large factor
// gives a result that is not finite where it should be: whoever asks computes that anew, by taps.
//
// Pair p is of outputs 2 d (p / d) + p % d and, d later, of dilation d. Only a d that divides the
// lanes of a vector, or is divided by them, has vectors of pairs whose outputs are two vectors.

#include <cstdint>

namespace warptape::lines {

constexpr int pair_taps = 3;
constexpr int pair_factors = 4;
constexpr int most_pair_vectors = 3;

// The inputs' factors, x0 - x2 etc., of some lines for `vectors` vectors of pairs from `begin` on,
// a multiple of the lanes. What lies beside a line counts as zero.
struct PairInputs {
  const float* in;  // (channels, in_length)
  int64_t channels;
  int64_t in_length;
  int64_t shift;  // x0 of output t is element t + shift
  int64_t dilation;
  int64_t begin;
  int64_t vectors;
  float* out;  // (pair_factors, factor_stride), of each (channels, out_stride)
  int64_t out_stride;
  int64_t factor_stride;
};

// What the products of one factor add to the outputs of a block of channels a, for up to
// most_pair_vectors vectors of pairs: sums over b of weights[b][a] factors[b][pair].
struct PairProducts {
  const float* factors;  // (channels, factors_stride), of which these pairs begin there
  int64_t channels;
  int64_t factors_stride;
  const float* weights;  // (channels, block)
  int factor;
  const float* bias;  // block of them, or nullptr
  float* first;       // (block, out_stride): begun by factor 0
  float* second;      // the same: begun by factor 1
  int64_t out_stride;
};

// Brings outputs of pairs to where they belong, or adds them to what is there.
struct PairOutputs {
  const float* first;  // (channels, in_stride)
  const float* second;
  int64_t in_stride;
  int64_t channels;
  int64_t dilation;
  int64_t begin;
  int64_t vectors;
  float* out;  // (channels, out_length)
  int64_t out_length;
  bool adds;
};

struct PairLoops {
  void (*inputs)(const PairInputs&);
  // By size of the block, from 1 on, and by vectors.
  void (*products[9][most_pair_vectors + 1])(const PairProducts&);
  bool (*are_finite)(const float* from, int64_t vectors);
  void (*outputs)(const PairOutputs&);
};

}  // namespace warptape::lines
