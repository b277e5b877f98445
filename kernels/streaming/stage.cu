// The stages of streams. A block has one stream; its threads are neighbours in the channels of a
// row, and of few channels in several rows, so that weights and rows are read in whole lines. What
// changes from one block of steps to the next lies in device memory: a graph of these launches may
// be replayed.

#include "core/device/launch.h"
#include "kernels/streaming/activated.h"
#include "kernels/streaming/stage_cuda.h"

namespace warptape::on_cuda {
namespace {

using streaming::Activation;
using streaming::Ring;
using streaming::Source;

constexpr int stream_threads = 128;

// Where the row of a step begins in a stream's memory.
__device__ int64_t place_of(const Ring& ring, int64_t step) {
  return ring.offset + ring.row_of(step) * ring.stride;
}

// Output o of filters whose last tap meets that step.
template <class T>
__device__ T filtered(const StreamFilters<T>& filters, const T* memory, const Ring& ring,
                      int64_t step, int64_t o) {
  T sum = filters.bias[o];
  const T* weights = filters.weights + o;
  memory += ring.offset + o / filters.group_outputs * filters.in_channels;
  int64_t row = ring.row_of(step - (filters.taps - 1) * filters.dilation);
  for (int64_t k = 0; k < filters.taps; ++k) {
    const T* from = memory + row * ring.stride;
    for (int64_t c = 0; c < filters.in_channels; ++c, weights += filters.out_channels) {
      sum += *weights * from[c];
    }
    row += filters.dilation;
    row -= row >= ring.rows ? ring.rows : 0;
  }
  return sum;
}

// Output o of the transpose of filters: every row of the ring adds its multiple of them, `stride`
// rows further for the next.
template <class T>
__device__ T transposed(const StreamFilters<T>& filters, const T* memory, const Ring& ring,
                        int64_t step, int64_t o, int64_t stride) {
  T sum = filters.bias[o];
  memory += o / filters.group_outputs * filters.in_channels;
  for (int64_t k = 0; k < filters.taps; ++k) {
    const int64_t place = step - k * filters.dilation;
    if (place % stride != 0) {
      continue;
    }
    const T* weights = filters.weights + k * filters.in_channels * filters.out_channels + o;
    const T* from = memory + place_of(ring, place / stride);
    for (int64_t c = 0; c < filters.in_channels; ++c) {
      sum += weights[c * filters.out_channels] * from[c];
    }
  }
  return sum;
}

// Channel o of what a stage reads, in front of its first activation.
template <class T>
__device__ T sourced(const StreamStage<T>& stage, const T* memory, int64_t step, int64_t o) {
  T value;
  switch (stage.source) {
    case Source::Filters:
      value = filtered<T>(stage.filters, memory, stage.in, step, o);
      break;
    case Source::Strided:
      value = filtered<T>(stage.filters, memory, stage.in, step * stage.stride + stage.newest, o);
      break;
    case Source::Transposed:
      value = transposed<T>(stage.filters, memory, stage.in, step, o, stage.stride);
      break;
    default: {
      const T* row = memory + place_of(stage.in, step);
      value = row[o];
      if (stage.source == Source::LayerNorm) {
        const auto of_row = streaming::statistics_of(row, stage.in.channels, stage.norm_eps);
        value = (value - of_row.mean) * of_row.scale * stage.norm_weight[o] + stage.norm_bias[o];
      }
    }
  }
  if (stage.conditioning.taps != 0) {
    value +=
        filtered<T>(stage.conditioning, memory, stage.condition, step - stage.condition_lag, o);
  }
  return value;
}

template <class T>
__global__ void __launch_bounds__(stream_threads)
    stage_kernel(const StreamStage<T> __grid_constant__ stage) {
  const int64_t own = int64_t{blockIdx.x} * stream_threads + threadIdx.x;
  if (own >= stage.rows * stage.channels) {
    return;
  }
  const int64_t number = own / stage.channels;
  const int64_t o = own % stage.channels;
  T* memory = stage.memory + blockIdx.y * stage.elements;
  const int64_t count = stage.counts[blockIdx.y];
  const int64_t step = stage.rate.rows(count) + number;
  T value = sourced<T>(stage, memory, step, o);
  if (stage.first == Activation::Gated) {
    value = streaming::gated(value, sourced<T>(stage, memory, step, o + stage.channels));
  } else {
    value = streaming::activated(stage.first, stage.negative_slope, value);
  }
  if (stage.residual.rows != 0) {
    value += stage.shortcut.taps != 0
                 ? filtered<T>(stage.shortcut, memory, stage.residual, step - stage.lag, o)
                 : memory[place_of(stage.residual, step - stage.lag) + o];
  }
  value = streaming::activated(stage.last, stage.negative_slope, value);
  if (stage.has_times) {
    // Rows of times outside of the sequence are what its padding is.
    const int64_t time = step - stage.delay;
    const bool is_over =
        stage.ended != streaming::not_ended && time >= stage.rate.rows(count - stage.ended);
    value = time < 0 || is_over ? T(0) : value;
  }
  if (stage.out.rows == 0 && number >= stage.y_rows) {
    return;
  }
  if (stage.out.rows == 0) {
    stage.y[blockIdx.y * stage.y_strides.stream + o * stage.y_strides.channel +
            number * stage.y_strides.step] = value;
  } else {
    memory[place_of(stage.out, step) + o] = value;
  }
}

template <class T>
__global__ void __launch_bounds__(stream_threads)
    input_kernel(const StreamInput<T> __grid_constant__ input) {
  const int64_t own = int64_t{blockIdx.x} * stream_threads + threadIdx.x;
  if (own >= input.steps * input.ring.channels) {
    return;
  }
  const int64_t i = own / input.ring.channels;
  const int64_t c = own % input.ring.channels;
  T* memory = input.memory + blockIdx.y * input.elements;
  memory[place_of(input.ring, input.counts[blockIdx.y] + i) + c] =
      input.x == nullptr ? T(0)
                         : input.x[blockIdx.y * input.x_strides.stream +
                                   c * input.x_strides.channel + i * input.x_strides.step];
}

__global__ void __launch_bounds__(stream_threads)
    counts_kernel(int64_t streams, int64_t* counts, int64_t steps, bool add) {
  const int64_t b = int64_t{blockIdx.x} * stream_threads + threadIdx.x;
  if (b < streams) {
    counts[b] = add ? counts[b] + steps : steps;
  }
}

LaunchConfig config_for(gpu::StreamHandle stream, int64_t streams, int64_t threads,
                        const char* name) {
  const int64_t blocks = (threads + stream_threads - 1) / stream_threads;
  return {.grid = dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(streams)),
          .block = dim3(stream_threads),
          .stream = stream,
          .name = name};
}

}  // namespace

template <class T>
void stream_input(gpu::StreamHandle stream, int64_t streams, const StreamInput<T>& input) {
  launch(input_kernel<T>,
         config_for(stream, streams, input.steps * input.ring.channels, "stream_input"), input);
}

template <class T>
void stream_stage(gpu::StreamHandle stream, int64_t streams, const StreamStage<T>& stage) {
  launch(stage_kernel<T>, config_for(stream, streams, stage.rows * stage.channels, "stream_stage"),
         stage);
}

void stream_counts(gpu::StreamHandle stream, int64_t streams, int64_t* counts, int64_t steps,
                   bool add) {
  launch(counts_kernel, config_for(stream, 1, streams, "stream_counts"), streams, counts, steps,
         add);
}

#define WARPTAPE_INSTANTIATE(T)                                                  \
  template void stream_input(gpu::StreamHandle, int64_t, const StreamInput<T>&); \
  template void stream_stage(gpu::StreamHandle, int64_t, const StreamStage<T>&);
WARPTAPE_INSTANTIATE(float)
WARPTAPE_INSTANTIATE(double)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
