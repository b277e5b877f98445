#pragma once
// Sums of products along lines, as forward passes and data gradients ask for them.

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/conv1d/line_blocks.h"
#include "kernels/conv1d/line_kernels.h"

namespace warptape::lines {

// out (batch, out_channels, out_length) of in (batch, channels, in_length), as an Accumulation.
struct LineSums {
  int64_t batch;
  const float* in;
  int64_t channels;
  int64_t in_length;
  int64_t taps;
  int64_t shift;
  int64_t step;
  const float* bias;  // or nullptr
  float* out;
  int64_t out_channels;
  int64_t out_length;
  bool adds;
};

// Whether pairs of outputs (line_pairs.h) are faster than taps one by one.
bool pairs_serve(const Level& level, const LineSums& sums);

// The same of their sizes alone; with fewer channels, what pairs cost besides products counts.
constexpr int64_t least_pair_channels = 24;
bool pairs_fit(const Level& level, int64_t dilation, int64_t outputs);

// Sums the outputs begin to end of a block of channels of sequence n.
using OutputsByTaps = std::function<void(int64_t n, int64_t block, int64_t begin, int64_t end)>;
// Gets elements of out as soon as they are there.
using FinishedOutputs = std::function<void(int64_t begin, int64_t count)>;

// By pairs. weights: packed, of each block (pair_factors, channels, block). by_taps is asked for
// outputs of which pairs gave some that are not finite.
void accumulate_pairs(const Level& level, const LineSums& sums, const Blocks& blocks,
                      const std::vector<float>& weights, const OutputsByTaps& by_taps,
                      const FinishedOutputs& finish);

}  // namespace warptape::lines
