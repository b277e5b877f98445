// The gradients of filters and biases.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/parallel.h"
#include "kernels/conv1d/line_blocks.h"
#include "kernels/conv1d/lines.h"

namespace warptape {
namespace {

using lines::Blocks;
using lines::Level;

// How the sums are dealt out. It depends on sizes alone, so that results do not depend on the
// number of threads.
struct Plan {
  Plan(const Level& level, const ConvGeometry& g)
      : outputs(g.out_channels, level.largest_correlation),
        inputs(g.in_channels, level.largest_inputs),
        groups(inputs.count, 24),
        sequences(g.batch, sequences_of(g)),
        spans(g.axes[0].out, 1024) {}

  // Of which the second-level cache keeps x, for one block of outputs after the other.
  static int64_t sequences_of(const ConvGeometry& g) {
    constexpr int64_t most_floats = 256 * 1024;
    return std::max<int64_t>(1, most_floats / (g.in_channels * g.axes[0].size));
  }
  int64_t tasks() const { return sequences.count * groups.count * outputs.count; }

  Blocks outputs;
  Blocks inputs;
  Blocks groups;     // of blocks of inputs: a cache keeps their sums
  Blocks sequences;  // each block of them has sums of its own
  Blocks spans;      // of time: a first-level cache keeps a block of dy
};

// The products of some sequences for a block of outputs and a group of inputs.
struct Task {
  Task(const Plan& plan, int64_t number)
      : output(number % plan.outputs.count),
        group(number / plan.outputs.count % plan.groups.count),
        sequences(number / plan.outputs.count / plan.groups.count) {}

  int64_t output;
  int64_t group;
  int64_t sequences;
};

// A span of a block of dy, whose rows begin with a line of a cache.
class AlignedRows {
 public:
  AlignedRows(const Plan& plan, int64_t lanes)
      : length_((plan.spans.largest() + lanes - 1) / lanes * lanes),
        room_(static_cast<size_t>(plan.outputs.largest() * length_ + floats_of_line)) {
    const auto address = reinterpret_cast<uintptr_t>(room_.data()) / sizeof(float);
    first_ = room_.data() + (floats_of_line - address % floats_of_line) % floats_of_line;
  }
  AlignedRows(const AlignedRows&) = delete;
  AlignedRows& operator=(const AlignedRows&) = delete;

  float* operator[](int64_t row) { return first_ + row * length_; }
  int64_t length() const { return length_; }

 private:
  static constexpr size_t floats_of_line = 16;

  int64_t length_;
  std::vector<float> room_;
  float* first_;
};

class Filters {
 public:
  Filters(const Tensor& dy, const Tensor& x, const ConvGeometry& g)
      : level_(*lines::level_in_use()),
        plan_(level_, g),
        g_(g),
        dy_(dy.data<float>()),
        x_(x.data<float>()) {}

  void compute(Tensor* dweight, Tensor* dbias) const {
    const int64_t filters = dweight == nullptr ? 0 : dweight->numel();
    const int64_t biases = dbias == nullptr ? 0 : dbias->numel();
    const int64_t vectors = filters == 0 ? 0 : taps() * plan_.outputs.largest() * most_inputs();
    const int64_t work = plan_.sequences.largest() * g_.axes[0].out * (vectors + 1);
    // Of every block of sequences.
    std::vector<float> weight_parts(static_cast<size_t>(plan_.sequences.count * filters));
    std::vector<float> bias_parts(static_cast<size_t>(plan_.sequences.count * biases));
    parallel_for(plan_.tasks(), default_grain / (work / 16 + 1) + 1,
                 [&](int64_t begin, int64_t end) {
                   std::vector<float> room(static_cast<size_t>(vectors * level_.lanes));
                   std::vector<float> sums(static_cast<size_t>(vectors));
                   AlignedRows dy(plan_, level_.lanes);
                   for (int64_t number = begin; number < end; ++number) {
                     const Task task(plan_, number);
                     std::fill(room.begin(), room.end(), 0.0F);
                     float* const bias = bias_parts.data() + task.sequences * biases;
                     add_products(task, dy, room, biases > 0 && task.group == 0 ? bias : nullptr);
                     if (filters > 0) {
                       level_.add_lanes(room.data(), vectors, sums.data());
                       place(task, sums, weight_parts.data() + task.sequences * filters);
                     }
                   }
                 });
    if (filters > 0) {
      add_parts(weight_parts, *dweight);
    }
    if (biases > 0) {
      add_parts(bias_parts, *dbias);
    }
  }

 private:
  int64_t taps() const { return g_.axes[0].kernel; }
  int64_t most_inputs() const { return plan_.groups.largest() * plan_.inputs.largest(); }

  // room: (inputs' blocks, taps, outputs, inputs, lanes), or empty; bias: of all outputs, or null.
  void add_products(const Task& task, AlignedRows& rows, std::vector<float>& room,
                    float* bias) const {
    const WindowAxis& axis = g_.axes[0];
    const int64_t o = plan_.outputs.begin(task.output);
    const int64_t block = plan_.outputs.size(task.output);
    double bias_sums[lines::most_outputs] = {};
    for (int64_t n = plan_.sequences.begin(task.sequences);
         n < plan_.sequences.begin(task.sequences + 1); ++n) {
      const float* const dy = dy_ + (n * g_.out_channels + o) * axis.out;
      for (int64_t span = 0; span < plan_.spans.count; ++span) {
        const int64_t begin = plan_.spans.begin(span);
        const int64_t length = plan_.spans.size(span);
        for (int64_t a = 0; a < block; ++a) {
          std::copy_n(dy + a * axis.out + begin, length, rows[a]);
          if (bias != nullptr) {
            bias_sums[a] += level_.sum(rows[a], length);
          }
        }
        float* sums = room.data();
        for (int64_t i = plan_.groups.begin(task.group);
             !room.empty() && i < plan_.groups.begin(task.group + 1); ++i) {
          const int64_t c = plan_.inputs.begin(i);
          const int64_t beside = plan_.inputs.size(i);
          level_.correlate[block][beside]({.dy = rows[0],
                                           .dy_length = rows.length(),
                                           .length = length,
                                           .x = x_ + (n * g_.in_channels + c) * axis.size,
                                           .x_length = axis.size,
                                           .taps = axis.kernel,
                                           .at = axis.element(begin, 0),
                                           .step = axis.dilation,
                                           .sums = sums});
          sums += axis.kernel * block * beside * level_.lanes;
        }
      }
    }
    for (int64_t a = 0; bias != nullptr && a < block; ++a) {
      bias[o + a] = static_cast<float>(bias_sums[a]);
    }
  }

  // sums: as `room` has them, without lanes; to: (outputs, inputs, taps).
  void place(const Task& task, const std::vector<float>& sums, float* to) const {
    const float* sum = sums.data();
    for (int64_t i = plan_.groups.begin(task.group); i < plan_.groups.begin(task.group + 1); ++i) {
      for (int64_t k = 0; k < taps(); ++k) {
        for (int64_t o = plan_.outputs.begin(task.output); o < plan_.outputs.begin(task.output + 1);
             ++o) {
          for (int64_t c = plan_.inputs.begin(i); c < plan_.inputs.begin(i + 1); ++c) {
            to[(o * g_.in_channels + c) * taps() + k] = *sum++;
          }
        }
      }
    }
  }

  void add_parts(const std::vector<float>& parts, Tensor& result) const {
    const int64_t count = result.numel();
    float* const to = result.mutable_data<float>();
    parallel_for(count, default_grain / plan_.sequences.count + 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        double sum = 0;
        for (int64_t part = 0; part < plan_.sequences.count; ++part) {
          sum += parts[static_cast<size_t>(part * count + i)];
        }
        to[i] = static_cast<float>(sum);
      }
    });
  }

  const Level& level_;
  const Plan plan_;
  const ConvGeometry& g_;
  const float* dy_;
  const float* x_;
};

}  // namespace

void lines_filter_grads(const Tensor& dy, const Tensor& x, const ConvGeometry& g, Tensor* dweight,
                        Tensor* dbias) {
  Filters(dy, x, g).compute(dweight, dbias);
}

}  // namespace warptape
