#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "core/parallel.h"
#include "kernels/conv1d/line_blocks.h"
#include "kernels/conv1d/line_kernels.h"
#include "kernels/conv1d/line_sums.h"
#include "kernels/conv1d/lines.h"
#include "kernels/vendor/onednn.h"

namespace warptape {
namespace {

using lines::Blocks;
using lines::Level;
using lines::level_in_use;
using lines::LineSums;

#if defined(__x86_64__)
const Level* level_of(LineInstructions instructions) {
  switch (instructions) {
    case LineInstructions::Avx512:
      return &lines::avx512::level;
    case LineInstructions::Avx2:
      return &lines::avx2::level;
    default:
      return &lines::baseline::level;
  }
}
#else
const Level* level_of(LineInstructions) {
  return nullptr;
}
#endif

std::atomic<const Level*>& chosen_level() {
  static std::atomic<const Level*> level{level_of(best_line_instructions())};
  return level;
}

// weights[b][k][a] of each block of a, one block behind the other; at(a, b, k) is the weight's
// place.
template <class At>
std::vector<float> packed(const float* weights, const Blocks& blocks, int64_t channels,
                          int64_t taps, const At& at) {
  std::vector<float> result(static_cast<size_t>(blocks.things * channels * taps));
  float* to = result.data();
  for (int64_t block = 0; block < blocks.count; ++block) {
    for (int64_t b = 0; b < channels; ++b) {
      for (int64_t k = 0; k < taps; ++k) {
        for (int64_t a = blocks.begin(block); a < blocks.begin(block + 1); ++a) {
          *to++ = weights[at(a, b, k)];
        }
      }
    }
  }
  return result;
}

// The same for pairs: of weights at(a, b, 0 to 2), what the inputs' factors are multiplied by.
template <class At>
std::vector<float> packed_for_pairs(const float* weights, const Blocks& blocks, int64_t channels,
                                    const At& at) {
  std::vector<float> result(static_cast<size_t>(blocks.things * channels * lines::pair_factors));
  float* to = result.data();
  for (int64_t block = 0; block < blocks.count; ++block) {
    const int64_t size = blocks.size(block);
    for (int64_t b = 0; b < channels; ++b) {
      for (int64_t a = 0; a < size; ++a) {
        const int64_t channel = blocks.begin(block) + a;
        const float w0 = weights[at(channel, b, 0)];
        const float half = 0.5F * weights[at(channel, b, 1)];
        const float w2 = weights[at(channel, b, 2)];
        const float halves = 0.5F * w0 + 0.5F * w2;
        const float factors[lines::pair_factors] = {w0, halves + half, halves - half, w2};
        for (int64_t j = 0; j < lines::pair_factors; ++j) {
          to[(j * channels + b) * size + a] = factors[j];
        }
      }
    }
    to += lines::pair_factors * channels * size;
  }
  return result;
}

// Outputs begin to end of a block of channels of sequence n.
void accumulate_part(const Level& level, const LineSums& w, const Blocks& blocks,
                     const std::vector<float>& weights, int64_t n, int64_t block, int64_t begin,
                     int64_t end) {
  const int64_t first = blocks.begin(block);
  level.accumulate[blocks.size(block)]({.in = w.in + n * w.channels * w.in_length,
                                        .channels = w.channels,
                                        .in_length = w.in_length,
                                        .weights = weights.data() + first * w.channels * w.taps,
                                        .taps = w.taps,
                                        .shift = w.shift,
                                        .step = w.step,
                                        .bias = w.bias == nullptr ? nullptr : w.bias + first,
                                        .out = w.out + (n * blocks.things + first) * w.out_length,
                                        .out_length = w.out_length,
                                        .adds = w.adds,
                                        .begin = begin,
                                        .end = end});
}

// at(a, b, k): the place of a weight. finish(begin, count): called for elements of out as soon as
// they are there.
template <class At, class Finish>
void accumulate(const Level& level, const LineSums& w, const float* weights, const At& at,
                const Finish& finish) {
  const Blocks blocks(w.out_channels, level.largest_block);
  if (lines::pairs_serve(level, w)) {
    const bool turns = w.step < 0;
    const auto place = [&](int64_t a, int64_t b, int64_t k) {
      return at(a, b, turns ? lines::pair_taps - 1 - k : k);
    };
    std::once_flag once;
    std::vector<float> by_taps;
    const auto by_pairs = packed_for_pairs(weights, blocks, w.channels, place);
    lines::accumulate_pairs(
        level, w, blocks, by_pairs,
        [&](int64_t n, int64_t block, int64_t begin, int64_t end) {
          std::call_once(once, [&] { by_taps = packed(weights, blocks, w.channels, w.taps, at); });
          accumulate_part(level, w, blocks, by_taps, n, block, begin, end);
        },
        finish);
    return;
  }
  const std::vector<float> by_taps = packed(weights, blocks, w.channels, w.taps, at);
  // Parts of a sequence, so that one sequence occupies all threads, too; in whole tiles.
  const int64_t part = 16 * 3 * level.lanes;
  const int64_t parts = std::max<int64_t>(1, (w.out_length + part / 2) / part);
  const int64_t work = std::min(part, w.out_length) * w.channels * w.taps * level.largest_block;
  parallel_for(w.batch * parts * blocks.count, default_grain / (work / 16 + 1) + 1,
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   const int64_t block = i % blocks.count;
                   const int64_t number = i / blocks.count % parts;
                   const int64_t n = i / blocks.count / parts;
                   const int64_t from = number * part;
                   const int64_t to = number + 1 == parts ? w.out_length : from + part;
                   accumulate_part(level, w, blocks, by_taps, n, block, from, to);
                   for (int64_t a = blocks.begin(block); a < blocks.begin(block + 1); ++a) {
                     finish((n * blocks.things + a) * w.out_length + from, to - from);
                   }
                 }
               });
}

}  // namespace

const Level* lines::level_in_use() {
  return chosen_level();
}

LineInstructions best_line_instructions() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) {
    return LineInstructions::Avx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return LineInstructions::Avx2;
  }
#endif
  return LineInstructions::Baseline;
}

void use_line_instructions(LineInstructions instructions) {
  chosen_level() = level_of(std::min(instructions, best_line_instructions()));
}

int64_t run_line_fmas(int64_t rounds) {
  const Level* const level = level_in_use();
  if (level == nullptr) {
    return 0;
  }
  static std::atomic<float> sink;  // so that somebody asks for the result
  sink = level->multiply_and_add(rounds);
  return rounds * lines::fma_chains * level->lanes * 2;
}

bool lines_serve(DType dtype, const ConvGeometry& geometry) {
  if (dtype != float32 || geometry.rank != 1 || geometry.axes[0].stride != 1 ||
      geometry.groups != 1 || geometry.empty() || level_in_use() == nullptr) {
    return false;
  }
  // With AVX-512, oneDNN's products along channels are faster once there are many of them. With 64
  // the two are even, but for what the lines do in the same pass.
  const bool has_many = std::min(geometry.in_channels, geometry.out_channels) >= 96;
  return !has_many || !onednn_is_used() || best_line_instructions() != LineInstructions::Avx512;
}

void lines_forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& g,
                   const LineEpilogueLoops* epilogue, Tensor& y) {
  const WindowAxis& axis = g.axes[0];
  const auto at = [&](int64_t o, int64_t c, int64_t k) {
    return (o * g.in_channels + c) * axis.kernel + k;
  };
  float* const out = y.mutable_data<float>();
  const LineSums sums{.batch = g.batch,
                      .in = x.data<float>(),
                      .channels = g.in_channels,
                      .in_length = axis.size,
                      .taps = axis.kernel,
                      .shift = -axis.padding_before,
                      .step = axis.dilation,
                      .bias = bias.defined() ? bias.data<float>() : nullptr,
                      .out = out,
                      .out_channels = g.out_channels,
                      .out_length = axis.out,
                      .adds = false};
  accumulate(*level_in_use(), sums, weight.data<float>(), at, [&](int64_t begin, int64_t count) {
    if (epilogue != nullptr) {
      epilogue->apply(out, begin, count);
    }
  });
}

void lines_data_grad(const Tensor& dy, const Tensor& weight, const ConvGeometry& g, Tensor& dx,
                     bool adds, const LineMask* mask) {
  const WindowAxis& axis = g.axes[0];
  const auto at = [&](int64_t c, int64_t o, int64_t k) {
    return (o * g.in_channels + c) * axis.kernel + k;
  };
  float* const out = dx.mutable_data<float>();
  // Tap k of output t met element t - padding + k * dilation.
  const LineSums sums{.batch = g.batch,
                      .in = dy.data<float>(),
                      .channels = g.out_channels,
                      .in_length = axis.out,
                      .taps = axis.kernel,
                      .shift = axis.padding_before,
                      .step = -axis.dilation,
                      .bias = nullptr,
                      .out = out,
                      .out_channels = g.in_channels,
                      .out_length = axis.size,
                      .adds = adds};
  accumulate(*level_in_use(), sums, weight.data<float>(), at, [&](int64_t begin, int64_t count) {
    if (mask != nullptr) {
      mask->apply(out, begin, count);
    }
  });
}

}  // namespace warptape
