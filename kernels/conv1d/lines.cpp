#include <algorithm>
#include <atomic>
#include <vector>

#include "core/parallel.h"
#include "kernels/conv1d/line_blocks.h"
#include "kernels/conv1d/line_kernels.h"
#include "kernels/conv1d/lines.h"
#include "kernels/vendor/onednn.h"

namespace warptape {
namespace {

using lines::Accumulation;
using lines::Blocks;
using lines::Level;
using lines::level_in_use;

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

// out (batch, blocks.things, out_length) of in (batch, channels, in_length), as an Accumulation.
// finish(begin, count): called for elements of out as soon as they are there.
template <class Finish>
void accumulate(const Level& level, const Blocks& blocks, int64_t batch, const float* in,
                int64_t channels, int64_t in_length, const std::vector<float>& weights,
                int64_t taps, int64_t shift, int64_t step, const float* bias, float* out,
                int64_t out_length, bool adds, const Finish& finish) {
  // Parts of a sequence, so that one sequence occupies all threads, too; in whole tiles.
  const int64_t part = 16 * 3 * level.lanes;
  const int64_t parts = std::max<int64_t>(1, (out_length + part / 2) / part);
  const int64_t work = std::min(part, out_length) * channels * taps * level.largest_block;
  parallel_for(batch * parts * blocks.count, default_grain / (work / 16 + 1) + 1,
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   const int64_t block = i % blocks.count;
                   const int64_t number = i / blocks.count % parts;
                   const int64_t n = i / blocks.count / parts;
                   const int64_t first = blocks.begin(block);
                   const Accumulation job{
                       .in = in + n * channels * in_length,
                       .channels = channels,
                       .in_length = in_length,
                       .weights = weights.data() + first * channels * taps,
                       .taps = taps,
                       .shift = shift,
                       .step = step,
                       .bias = bias == nullptr ? nullptr : bias + first,
                       .out = out + (n * blocks.things + first) * out_length,
                       .out_length = out_length,
                       .adds = adds,
                       .begin = number * part,
                       .end = number + 1 == parts ? out_length : (number + 1) * part};
                   level.accumulate[blocks.size(block)](job);
                   for (int64_t a = 0; a < blocks.size(block); ++a) {
                     const int64_t line = (n * blocks.things + first + a) * out_length;
                     finish(line + job.begin, job.end - job.begin);
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
  const Level& level = *level_in_use();
  const WindowAxis& axis = g.axes[0];
  const Blocks blocks(g.out_channels, level.largest_block);
  const auto at = [&](int64_t o, int64_t c, int64_t k) {
    return (o * g.in_channels + c) * axis.kernel + k;
  };
  float* const out = y.mutable_data<float>();
  accumulate(level, blocks, g.batch, x.data<float>(), g.in_channels, axis.size,
             packed(weight.data<float>(), blocks, g.in_channels, axis.kernel, at), axis.kernel,
             -axis.padding_before, axis.dilation, bias.defined() ? bias.data<float>() : nullptr,
             out, axis.out, false, [&](int64_t begin, int64_t count) {
               if (epilogue != nullptr) {
                 epilogue->apply(out, begin, count);
               }
             });
}

void lines_data_grad(const Tensor& dy, const Tensor& weight, const ConvGeometry& g, Tensor& dx,
                     bool adds, const LineMask* mask) {
  const Level& level = *level_in_use();
  const WindowAxis& axis = g.axes[0];
  const Blocks blocks(g.in_channels, level.largest_block);
  const auto at = [&](int64_t c, int64_t o, int64_t k) {
    return (o * g.in_channels + c) * axis.kernel + k;
  };
  float* const out = dx.mutable_data<float>();
  // Tap k of output t met element t - padding + k * dilation.
  accumulate(level, blocks, g.batch, dy.data<float>(), g.out_channels, axis.out,
             packed(weight.data<float>(), blocks, g.out_channels, axis.kernel, at), axis.kernel,
             axis.padding_before, -axis.dilation, nullptr, out, axis.size, adds,
             [&](int64_t begin, int64_t count) {
               if (mask != nullptr) {
                 mask->apply(out, begin, count);
               }
             });
}

}  // namespace warptape
