#include <algorithm>
#include <limits>
#include <type_traits>

#include "core/parallel.h"
#include "kernels/streaming/activated.h"
#include "kernels/streaming/stages.h"

namespace warptape::streaming {
namespace {

template <class T>
const StepFunctions<T>& functions_of(const StepLevel& level) {
  if constexpr (std::is_same_v<T, float>) {
    return level.of_float;
  } else {
    return level.of_double;
  }
}

// The first rows lie behind the last once more.
template <class T>
void repeat_row(const Ring& ring, T* first_row, int64_t row) {
  if (row < ring_margin) {
    std::copy_n(first_row + row * ring.stride, ring.stride,
                first_row + (row + ring.rows) * ring.stride);
  }
}

// Steps of one stream.
template <class T>
class StreamPass {
 public:
  StreamPass(const Stages& stages, const Pass& pass, T* memory, T* scratch)
      : stages_(stages),
        pass_(pass),
        memory_(memory),
        result_(scratch),
        shortcut_(scratch + stages.chunk_rows * stages.row_elements) {}

  // Steps done, ..., done + steps - 1 of the pass; count: steps before the first of these.
  void run(const T* x, const T* condition, T* y, int64_t count, int64_t done, int64_t steps) {
    count_ = count;
    end_ =
        pass_.ended == not_ended ? std::numeric_limits<int64_t>::max() : count - pass_.ended - done;
    take(stages_.input, x, pass_.x_strides, done, steps);
    take(stages_.condition, condition, pass_.condition_strides, done, steps);
    for (const Stage& stage : stages_.list) {
      const int64_t first = stage.rate.rows(count_);
      const int64_t rows = stage.rate.rows(steps);
      compute(stage, first, rows);
      blank(stage, first, rows);
      if (stage.out.rows == 0) {
        give(stage, y, stage.rate.rows(done), rows);
      } else {
        append(stage, first, rows);
      }
    }
  }

  void settle(const T* x, const T* condition) {
    count_ = 0;
    settle_ring(stages_.input, x, pass_.x_strides);
    settle_ring(stages_.condition, condition, pass_.condition_strides);
    for (const Stage& stage : stages_.list) {
      if (stage.out.rows != 0) {
        const int64_t rows = stage.rate.rows(stages_.group);
        compute(stage, 0, rows);
        fill(stage.out, rows);
      }
    }
  }

 private:
  T* first_row(const Ring& ring) const { return memory_ + ring.offset; }
  T* result(int64_t i) const { return result_ + i * stages_.row_elements; }

  void settle_ring(const Ring& ring, const T* x, const StepStrides& strides) const {
    for (int64_t c = 0; c < ring.channels; ++c) {
      result_[c] = x[c * strides.channel];
    }
    fill(ring, 1);
  }

  void take(const Ring& ring, const T* x, const StepStrides& strides, int64_t done,
            int64_t steps) const {
    for (int64_t i = 0; ring.rows != 0 && i < steps; ++i) {
      const int64_t row = ring.row_of(count_ + i);
      T* to = first_row(ring) + row * ring.stride;
      for (int64_t c = 0; c < ring.channels; ++c) {
        to[c] = x == nullptr ? T(0) : x[c * strides.channel + (done + i) * strides.step];
      }
      repeat_row(ring, first_row(ring), row);
    }
  }

  // Into every `spread`-th row of `out`; the last tap meets step `newest` of the ring, and so on.
  void convolve(const Filters& filters, const Ring& ring, int64_t newest, int64_t rows, T* out,
                int64_t spread = 1) const {
    const StepFunctions<T>& functions = functions_of<T>(*filters.level);
    const int64_t outputs = filters.out_channels / filters.groups;
    const int64_t channels = filters.in_channels / filters.groups;
    const T* weights = filters.weights.template data<T>();
    const T* bias = filters.bias.template data<T>();
    StepConvolution<T> job{.in = first_row(ring),
                           .rows = ring.rows,
                           .stride = ring.stride,
                           .newest = ring.row_of(newest),
                           .dilation = filters.dilation,
                           .taps = filters.taps,
                           .channels = channels,
                           .weights = nullptr,
                           .bias = nullptr,
                           .out = nullptr,
                           .out_stride = spread * stages_.row_elements,
                           .steps = rows};
    // In their order: zeros behind a group's outputs are overwritten by the next one's.
    for (int64_t group = 0; group < filters.groups; ++group, job.in += channels) {
      for (int64_t begin = 0; begin < outputs; begin += 2 * functions.lanes) {
        const int vectors = outputs - begin > functions.lanes ? 2 : 1;
        job.weights = weights;
        job.bias = bias;
        job.out = out + group * outputs + begin;
        functions.convolve[vectors](job);
        weights += filters.taps * channels * vectors * functions.lanes;
        bias += vectors * functions.lanes;
      }
    }
  }

  // Rows first, ..., first + rows - 1 of the result.
  void compute(const Stage& stage, int64_t first, int64_t rows) const {
    read(stage, first, rows);
    if (stage.conditioning.taps != 0) {
      convolve(stage.conditioning, stages_.condition, first - stage.condition_lag, rows, shortcut_);
      for (int64_t i = 0; i < rows; ++i) {
        const T* from = shortcut_ + i * stages_.row_elements;
        for (int64_t c = 0; c < stage.conditioning.out_channels; ++c) {
          result(i)[c] += from[c];
        }
      }
    }
    activate(stage, stage.first, rows);
    if (stage.residual.rows != 0) {
      if (stage.shortcut.taps != 0) {
        convolve(stage.shortcut, stage.residual, first - stage.lag, rows, shortcut_);
      }
      add_residual(stage, first, rows);
    }
    activate(stage, stage.last, rows);
  }

  void read(const Stage& stage, int64_t first, int64_t rows) const {
    switch (stage.source) {
      case Source::Filters:
        convolve(stage.filters, stage.in, first, rows, result_);
        break;
      case Source::Strided:
        for (int64_t i = 0; i < rows; ++i) {
          convolve(stage.filters, stage.in, (first + i) * stage.stride + stage.newest, 1,
                   result(i));
        }
        break;
      case Source::Transposed:
        for (int64_t p = 0; p < stage.stride; ++p) {
          const Phase& phase = stage.phases[static_cast<size_t>(p)];
          convolve(phase.filters, stage.in, first / stage.stride - phase.lag, rows / stage.stride,
                   result(p), stage.stride);
        }
        break;
      case Source::Row:
      case Source::LayerNorm:
        read_rows(stage, first, rows);
        break;
    }
  }

  void read_rows(const Stage& stage, int64_t first, int64_t rows) const {
    const Ring& ring = stage.in;
    for (int64_t i = 0; i < rows; ++i) {
      const T* from = first_row(ring) + ring.row_of(first + i) * ring.stride;
      T* to = result(i);
      std::copy_n(from, ring.channels, to);
      if (stage.source == Source::LayerNorm) {
        const RowStatistics<T> of_row = statistics_of(from, ring.channels, stage.norm.eps);
        const T* weight = stage.norm.weight.template data<T>();
        const T* bias = stage.norm.bias.template data<T>();
        for (int64_t c = 0; c < ring.channels; ++c) {
          to[c] = (to[c] - of_row.mean) * of_row.scale * weight[c] + bias[c];
        }
      }
    }
  }

  void add_residual(const Stage& stage, int64_t first, int64_t rows) const {
    for (int64_t i = 0; i < rows; ++i) {
      const Ring& ring = stage.residual;
      const T* from = stage.shortcut.taps != 0
                          ? shortcut_ + i * stages_.row_elements
                          : first_row(ring) + ring.row_of(first + i - stage.lag) * ring.stride;
      T* to = result(i);
      for (int64_t c = 0; c < stage.channels; ++c) {
        to[c] += from[c];
      }
    }
  }

  void activate(const Stage& stage, Activation by, int64_t steps) const {
    if (by == Activation::None) {
      return;
    }
    for (int64_t i = 0; i < steps; ++i) {
      T* row = result(i);
      if (by == Activation::ReLU) {  // a loop of its own, which the compiler makes vectors of
        for (int64_t c = 0; c < stage.channels; ++c) {
          row[c] = activated(Activation::ReLU, 0, row[c]);
        }
      } else if (by == Activation::Gated) {
        for (int64_t c = 0; c < stage.channels; ++c) {
          row[c] = gated(row[c], row[c + stage.channels]);
        }
      } else {
        for (int64_t c = 0; c < stage.channels; ++c) {
          row[c] = activated(by, stage.negative_slope, row[c]);
        }
      }
    }
  }

  // Rows of times outside of the sequence are what its padding is.
  void blank(const Stage& stage, int64_t first, int64_t rows) const {
    if (stage.delay == 0 && pass_.ended == not_ended) {
      return;
    }
    const int64_t end = pass_.ended == not_ended ? end_ : stage.rate.rows(end_);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t time = first + i - stage.delay;
      if (time < 0 || time >= end) {
        std::fill_n(result(i), stage.channels, T(0));
      }
    }
  }

  void append(const Stage& stage, int64_t first, int64_t rows) const {
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t row = stage.out.row_of(first + i);
      std::copy_n(result(i), stage.channels, first_row(stage.out) + row * stage.out.stride);
      repeat_row(stage.out, first_row(stage.out), row);
    }
  }

  void give(const Stage& stage, T* y, int64_t done, int64_t rows) const {
    for (int64_t i = 0; i < std::min(rows, pass_.y_rows - done); ++i) {
      T* to = y + (done + i) * pass_.y_strides.step;
      for (int64_t c = 0; c < stage.channels; ++c) {
        to[c * pass_.y_strides.channel] = result(i)[c];
      }
    }
  }

  // With these rows of the result, over and over.
  void fill(const Ring& ring, int64_t rows) const {
    for (int64_t row = 0; row < ring.rows; ++row) {
      std::copy_n(result(row % rows), ring.channels, first_row(ring) + row * ring.stride);
      repeat_row(ring, first_row(ring), row);
    }
  }

  const Stages& stages_;
  const Pass& pass_;
  T* memory_;
  T* result_;
  T* shortcut_;
  int64_t count_ = 0;  // steps before the first of these
  int64_t end_ = 0;    // the first time behind the sequence
};

// Multiplications of a step.
int64_t work_of(const Stages& stages) {
  int64_t work = 1;
  for (const Stage& stage : stages.list) {
    work += stage.rate.rows(stage.filters.weights.defined() ? stage.filters.weights.numel() : 0);
    for (const Phase& phase : stage.phases) {
      work += stage.in.rate.rows(phase.filters.weights.numel());
    }
  }
  return work;
}

template <class T>
void run(const Stages& stages, Tensor& memory, Tensor& counts, Tensor& scratch, const Pass& pass) {
  const int64_t streams = counts.numel();
  const int64_t work = work_of(stages) * (pass.settle ? 1 : pass.steps);
  const T* x = static_cast<const T*>(pass.x);
  const T* condition = static_cast<const T*>(pass.condition);
  T* y = static_cast<T*>(pass.y);
  T* own_memory = memory.mutable_data<T>();
  T* own_scratch = scratch.mutable_data<T>();
  int64_t* count = counts.mutable_data<int64_t>();
  // Chunks of nearly equal size, in whole groups.
  const int64_t chunks = (pass.steps + stages.chunk - 1) / stages.chunk;
  const int64_t groups = pass.steps / stages.group;
  parallel_for(streams, default_grain / (work / 16 + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      StreamPass<T> stream(stages, pass, own_memory + b * stages.elements,
                           own_scratch + b * stages.scratch_elements());
      const T* own_x = x == nullptr ? nullptr : x + b * pass.x_strides.stream;
      const T* own_condition =
          condition == nullptr ? nullptr : condition + b * pass.condition_strides.stream;
      if (pass.settle) {
        stream.settle(own_x, own_condition);
        count[b] = stages.settled;
        continue;
      }
      for (int64_t i = 0; i < chunks; ++i) {
        const int64_t done = i * groups / chunks * stages.group;
        const int64_t steps = (i + 1) * groups / chunks * stages.group - done;
        stream.run(own_x, own_condition, y + b * pass.y_strides.stream, count[b], done, steps);
        count[b] += steps;
      }
    }
  });
}

}  // namespace

void run_stages_cpu(const Stages& stages, Tensor& memory, Tensor& counts, Tensor& scratch,
                    const Pass& pass) {
  memory.dtype() == float64 ? run<double>(stages, memory, counts, scratch, pass)
                            : run<float>(stages, memory, counts, scratch, pass);
}

}  // namespace warptape::streaming
