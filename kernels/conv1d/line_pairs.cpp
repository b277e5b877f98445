#include "kernels/conv1d/line_pairs.h"

#include <algorithm>
#include <cstdlib>

#include "core/parallel.h"
#include "kernels/conv1d/line_room.h"
#include "kernels/conv1d/line_sums.h"

namespace warptape::lines {
namespace {

// The outputs of one part of a sequence after the other, of all channels.
class PairParts {
 public:
  PairParts(const Level& level, const LineSums& w, const Blocks& blocks,
            const std::vector<float>& weights, const OutputsByTaps& by_taps,
            const FinishedOutputs& finish, int64_t most_pairs)
      : level_(level),
        w_(w),
        blocks_(blocks),
        weights_(weights),
        by_taps_(by_taps),
        finish_(finish),
        stride_(most_pairs + floats_of_line),
        inputs_(pair_factors * w.channels * stride_),
        first_(w.out_channels * stride_),
        second_(w.out_channels * stride_) {}

  // Pairs begin to end of sequence n: whole vectors, and whole blocks of `dilation` pairs.
  void compute(int64_t n, int64_t begin, int64_t end) {
    level_.pairs->inputs({.in = w_.in + n * w_.channels * w_.in_length,
                          .channels = w_.channels,
                          .in_length = w_.in_length,
                          .shift = w_.step < 0 ? w_.shift + (pair_taps - 1) * w_.step : w_.shift,
                          .dilation = dilation(),
                          .begin = begin,
                          .vectors = (end - begin) / level_.lanes,
                          .out = inputs_.data(),
                          .out_stride = stride_,
                          .factor_stride = w_.channels * stride_});
    const int64_t outputs_begin = 2 * begin;
    const int64_t outputs_end = std::min(2 * end, w_.out_length);
    float* const out = w_.out + n * w_.out_channels * w_.out_length;
    const int64_t tile = most_pair_vectors * level_.lanes;
    const int64_t tiles = (end - begin + tile - 1) / tile;
    int64_t rows = 0;  // of the outputs, on their way into a cache
    for (int64_t pair = 0; pair < end - begin; pair += tile) {
      const int64_t vectors = std::min(tile, end - begin - pair) / level_.lanes;
      for (int factor = 0; factor < pair_factors; ++factor) {
        for (int64_t block = 0; block < blocks_.count; ++block) {
          const int64_t calls =
              pair / tile * pair_factors * blocks_.count + factor * blocks_.count + block + 1;
          const int64_t until = w_.out_channels * calls / (tiles * pair_factors * blocks_.count);
          for (; rows < until; ++rows) {
            prefetch(out + rows * w_.out_length, outputs_begin, outputs_end);
          }
          add_products(factor, block, pair, vectors);
        }
      }
    }
    for (int64_t block = 0; block < blocks_.count; ++block) {
      const int64_t a = blocks_.begin(block);
      const int64_t channels = blocks_.size(block);
      if (are_finite(a, channels, (end - begin) / level_.lanes)) {
        level_.pairs->outputs({.first = first_.data() + a * stride_,
                               .second = second_.data() + a * stride_,
                               .in_stride = stride_,
                               .channels = channels,
                               .dilation = dilation(),
                               .begin = begin,
                               .vectors = (end - begin) / level_.lanes,
                               .out = out + a * w_.out_length,
                               .out_length = w_.out_length,
                               .adds = w_.adds});
      } else {
        by_taps_(n, block, outputs_begin, outputs_end);
      }
      for (int64_t row = a; row < a + channels; ++row) {
        finish_((n * w_.out_channels + row) * w_.out_length + outputs_begin,
                outputs_end - outputs_begin);
      }
    }
  }

 private:
  static constexpr int64_t floats_of_line = 16;

  int64_t dilation() const { return std::abs(w_.step); }

  static void prefetch(const float* line, int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; at += floats_of_line) {
      __builtin_prefetch(line + at, 1, 2);
    }
  }

  void add_products(int factor, int64_t block, int64_t pair, int64_t vectors) {
    const int64_t a = blocks_.begin(block);
    const int64_t size = blocks_.size(block);
    level_.pairs->products[size][vectors](
        {.factors = inputs_.data() + factor * w_.channels * stride_ + pair,
         .channels = w_.channels,
         .factors_stride = stride_,
         .weights = weights_.data() + (a * pair_factors + factor * size) * w_.channels,
         .factor = factor,
         .bias = w_.bias == nullptr ? nullptr : w_.bias + a,
         .first = first_.data() + a * stride_ + pair,
         .second = second_.data() + a * stride_ + pair,
         .out_stride = stride_});
  }

  bool are_finite(int64_t a, int64_t channels, int64_t vectors) {
    for (int64_t row = a; row < a + channels; ++row) {
      if (!level_.pairs->are_finite(first_.data() + row * stride_, vectors) ||
          !level_.pairs->are_finite(second_.data() + row * stride_, vectors)) {
        return false;
      }
    }
    return true;
  }

  const Level& level_;
  const LineSums& w_;
  const Blocks& blocks_;
  const std::vector<float>& weights_;
  const OutputsByTaps& by_taps_;
  const FinishedOutputs& finish_;
  const int64_t stride_;
  AlignedRoom inputs_;  // (factors, channels, stride)
  AlignedRoom first_;   // (out_channels, stride)
  AlignedRoom second_;
};

}  // namespace

bool pairs_serve(const Level& level, const LineSums& w) {
  return w.taps == pair_taps && w.channels >= least_pair_channels &&
         w.out_channels >= least_pair_channels && pairs_fit(level, std::abs(w.step), w.out_length);
}

bool pairs_fit(const Level& level, int64_t dilation, int64_t outputs) {
  const bool is_whole = level.lanes % dilation == 0 || dilation % level.lanes == 0;
  return is_whole && outputs >= 8 * std::max(dilation, level.lanes);
}

void accumulate_pairs(const Level& level, const LineSums& w, const Blocks& blocks,
                      const std::vector<float>& weights, const OutputsByTaps& by_taps,
                      const FinishedOutputs& finish) {
  // Few enough for a second-level cache, whose rows a first-level cache need not keep; of vectors
  // that fill tiles.
  const int64_t unit = std::max(std::abs(w.step), level.lanes);
  const int64_t units = (w.out_length + 2 * unit - 1) / (2 * unit);
  const int64_t units_of_part =
      std::min(units, std::max<int64_t>(1, 4 * most_pair_vectors * level.lanes / unit));
  const int64_t parts = (units + units_of_part - 1) / units_of_part;
  const int64_t most_pairs = units_of_part * unit;
  const int64_t work = most_pairs * pair_factors * w.channels * w.out_channels;
  parallel_for(w.batch * parts, default_grain / (work / 16 + 1) + 1, [&](int64_t from, int64_t to) {
    PairParts all(level, w, blocks, weights, by_taps, finish, most_pairs);
    for (int64_t i = from; i < to; ++i) {
      const int64_t begin = i % parts * most_pairs;
      all.compute(i / parts, begin, std::min(begin + most_pairs, units * unit));
    }
  });
}

}  // namespace warptape::lines
