#include <algorithm>
#include <atomic>
#include <vector>

#include "core/parallel.h"
#include "kernels/conv1d/line_kernels.h"
#include "kernels/conv1d/lines.h"
#include "kernels/vendor/onednn.h"

namespace warptape {
namespace {

using lines::Accumulation;
using lines::Level;

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

std::atomic<const Level*>& level_in_use() {
  static std::atomic<const Level*> level{level_of(best_line_instructions())};
  return level;
}

// So that vectors of a line begin where a cache line does.
struct alignas(64) Cacheline {
  float floats[16] = {};
};

// Blocks of nearly equal size, none above the largest.
struct Blocks {
  Blocks(int64_t channels, int64_t largest)
      : channels(channels), count((channels + largest - 1) / largest) {}
  int64_t begin(int64_t block) const { return channels * block / count; }
  int64_t size(int64_t block) const { return begin(block + 1) - begin(block); }

  int64_t channels;
  int64_t count;
};

// weights[b][k][a] of each block of a, one block behind the other; at(a, b, k) is the weight's
// place.
template <class At>
std::vector<float> packed(const float* weights, const Blocks& blocks, int64_t channels,
                          int64_t taps, const At& at) {
  std::vector<float> result(static_cast<size_t>(blocks.channels * channels * taps));
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

// out (batch, blocks.channels, out_length) of in (batch, channels, in_length), as an Accumulation.
void accumulate(const Level& level, const Blocks& blocks, int64_t batch, const float* in,
                int64_t channels, int64_t in_length, const std::vector<float>& weights,
                int64_t taps, int64_t shift, int64_t step, const float* bias, float* out,
                int64_t out_length) {
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
                       .out = out + (n * blocks.channels + first) * out_length,
                       .out_length = out_length,
                       .begin = number * part,
                       .end = number + 1 == parts ? out_length : (number + 1) * part};
                   level.accumulate[blocks.size(block)](job);
                 }
               });
}

}  // namespace

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
  level_in_use() = level_of(std::min(instructions, best_line_instructions()));
}

bool lines_serve(DType dtype, const ConvGeometry& geometry) {
  if (dtype != float32 || geometry.rank != 1 || geometry.axes[0].stride != 1 ||
      geometry.groups != 1 || geometry.empty() || level_in_use() == nullptr) {
    return false;
  }
  // With AVX-512, oneDNN's products along channels are faster once there are many of them.
  const bool has_many = std::min(geometry.in_channels, geometry.out_channels) >= 64;
  return !has_many || !onednn_is_used() || best_line_instructions() != LineInstructions::Avx512;
}

void lines_forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& g,
                   Tensor& y) {
  const Level& level = *level_in_use();
  const WindowAxis& axis = g.axes[0];
  const Blocks blocks(g.out_channels, level.largest_block);
  const auto at = [&](int64_t o, int64_t c, int64_t k) {
    return (o * g.in_channels + c) * axis.kernel + k;
  };
  accumulate(level, blocks, g.batch, x.data<float>(), g.in_channels, axis.size,
             packed(weight.data<float>(), blocks, g.in_channels, axis.kernel, at), axis.kernel,
             -axis.padding_before, axis.dilation, bias.defined() ? bias.data<float>() : nullptr,
             y.mutable_data<float>(), axis.out);
}

void lines_data_grad(const Tensor& dy, const Tensor& weight, const ConvGeometry& g, Tensor& dx) {
  const Level& level = *level_in_use();
  const WindowAxis& axis = g.axes[0];
  const Blocks blocks(g.in_channels, level.largest_block);
  const auto at = [&](int64_t c, int64_t o, int64_t k) {
    return (o * g.in_channels + c) * axis.kernel + k;
  };
  // Tap k of output t met element t - padding + k * dilation.
  accumulate(level, blocks, g.batch, dy.data<float>(), g.out_channels, axis.out,
             packed(weight.data<float>(), blocks, g.out_channels, axis.kernel, at), axis.kernel,
             axis.padding_before, -axis.dilation, nullptr, dx.mutable_data<float>(), axis.size);
}

void lines_weight_grad(const Tensor& dy, const Tensor& x, const ConvGeometry& g, Tensor& dweight) {
  const Level& level = *level_in_use();
  const WindowAxis& axis = g.axes[0];
  const Blocks blocks(g.out_channels, level.largest_correlation);
  const float* px = x.data<float>();
  const float* pdy = dy.data<float>();
  float* to = dweight.mutable_data<float>();
  // Taps first, ..., last - 1 meet an element of x; the others' gradients are 0.
  int64_t first = 0;
  while (first < axis.kernel && axis.element(axis.out - 1, first) < 0) {
    ++first;
  }
  int64_t last = axis.kernel;
  while (last > first && axis.element(0, last - 1) >= axis.size) {
    --last;
  }
  const int64_t taps = last - first;
  if (taps < axis.kernel) {
    std::fill_n(to, dweight.numel(), 0.0F);
    if (taps == 0) {
      return;
    }
  }
  // Zeros on both sides of a line, as far as the vectors of these taps read: less than the outputs
  // and a vector are long.
  const int64_t before = std::max<int64_t>(0, -axis.element(0, first));
  const int64_t reach = axis.element(axis.out - 1, last - 1) + level.lanes;
  const int64_t padded = before + std::max(axis.size, reach);
  const int64_t work = g.batch * axis.out * taps * level.largest_correlation;
  parallel_for(g.in_channels * blocks.count, default_grain / (work / 16 + 1) + 1,
               [&](int64_t begin, int64_t end) {
                 std::vector<Cacheline> room(static_cast<size_t>((padded + 15) / 16));
                 float* const line = room.front().floats;
                 std::vector<float> sums;
                 for (int64_t i = begin; i < end; ++i) {
                   // One block's gradients, of all sequences, serve many input channels while a
                   // cache has them.
                   const int64_t block = i / g.in_channels;
                   const int64_t c = i % g.in_channels;
                   const int64_t begin_o = blocks.begin(block);
                   sums.assign(static_cast<size_t>(blocks.size(block) * taps * level.lanes), 0.0F);
                   for (int64_t n = 0; n < g.batch; ++n) {
                     std::copy_n(px + (n * g.in_channels + c) * axis.size, axis.size,
                                 line + before);
                     level.correlate[blocks.size(block)](
                         {.dy = pdy + (n * g.out_channels + begin_o) * axis.out,
                          .length = axis.out,
                          .x = line,
                          .x_length = axis.size,
                          .before = before,
                          .taps = taps,
                          .shift = axis.element(0, first),
                          .step = axis.dilation,
                          .sums = sums.data()});
                   }
                   const float* lanes = sums.data();
                   for (int64_t o = begin_o; o < begin_o + blocks.size(block); ++o) {
                     for (int64_t k = first; k < last; ++k, lanes += level.lanes) {
                       double sum = 0;
                       for (int64_t lane = 0; lane < level.lanes; ++lane) {
                         sum += lanes[lane];
                       }
                       to[(o * g.in_channels + c) * axis.kernel + k] = static_cast<float>(sum);
                     }
                   }
                 }
               });
}

void lines_bias_grad(const Tensor& dy, Tensor& dbias) {
  const int64_t batch = dy.size(0);
  const int64_t channels = dy.size(1);
  const int64_t length = dy.size(2);
  const float* from = dy.data<float>();
  float* to = dbias.mutable_data<float>();
  parallel_for(channels, default_grain / (batch * length + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      double sums[8] = {};  // so that one addition need not wait for the last
      for (int64_t n = 0; n < batch; ++n) {
        const float* line = from + (n * channels + o) * length;
        int64_t t = 0;
        for (; t + 8 <= length; t += 8) {
          for (int64_t lane = 0; lane < 8; ++lane) {
            sums[lane] += line[t + lane];
          }
        }
        for (; t < length; ++t) {
          sums[0] += line[t];
        }
      }
      double total = 0;
      for (double sum : sums) {
        total += sum;
      }
      to[o] = static_cast<float>(total);
    }
  });
}

}  // namespace warptape
