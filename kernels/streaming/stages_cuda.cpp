#include "kernels/streaming/stage_cuda.h"
#include "kernels/streaming/stages.h"

namespace warptape::streaming {
namespace {

template <class T>
on_cuda::StreamFilters<T> as_kernel_argument(const Filters& filters) {
  if (filters.taps == 0) {
    return {};
  }
  return {.weights = filters.weights.data<T>(),
          .bias = filters.bias.data<T>(),
          .taps = filters.taps,
          .dilation = filters.dilation,
          .in_channels = filters.in_channels / filters.groups,
          .out_channels = filters.out_channels,
          .group_outputs = filters.out_channels / filters.groups};
}

template <class T>
const T* elements_of(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<T>() : nullptr;
}

template <class T>
void run(const Stages& stages, Tensor& memory, Tensor& counts, const Pass& pass) {
  const gpu::StreamHandle stream = gpu::current_stream();
  const int64_t streams = counts.numel();
  T* own_memory = memory.mutable_data<T>();
  int64_t* own_counts = counts.mutable_data<int64_t>();
  const auto take = [&](const Ring& ring, const void* x, const StepStrides& strides) {
    if (ring.rows != 0) {
      on_cuda::stream_input<T>(stream, streams,
                               {.memory = own_memory,
                                .elements = stages.elements,
                                .counts = own_counts,
                                .steps = pass.settle ? ring.rows : pass.steps,
                                .ring = ring,
                                .x = static_cast<const T*>(x),
                                .x_strides = strides});
    }
  };
  take(stages.input, pass.x, pass.x_strides);
  take(stages.condition, pass.condition, pass.condition_strides);
  for (const Stage& stage : stages.list) {
    const bool is_last = stage.out.rows == 0;
    if (is_last && pass.settle) {
      continue;
    }
    on_cuda::stream_stage<T>(stream, streams,
                             {.memory = own_memory,
                              .elements = stages.elements,
                              .counts = own_counts,
                              .rows = pass.settle ? stage.out.rows : stage.rate.rows(pass.steps),
                              .y_rows = pass.y_rows,
                              .rate = stage.rate,
                              .ended = pass.ended,
                              .has_times = !pass.settle,
                              .in = stage.in,
                              .source = stage.source,
                              .filters = as_kernel_argument<T>(stage.filters),
                              .stride = stage.stride,
                              .newest = stage.newest,
                              .norm_weight = elements_of<T>(stage.norm.weight),
                              .norm_bias = elements_of<T>(stage.norm.bias),
                              .norm_eps = stage.norm.eps,
                              .condition = stages.condition,
                              .conditioning = as_kernel_argument<T>(stage.conditioning),
                              .condition_lag = stage.condition_lag,
                              .first = stage.first,
                              .residual = stage.residual,
                              .lag = stage.lag,
                              .shortcut = as_kernel_argument<T>(stage.shortcut),
                              .last = stage.last,
                              .negative_slope = stage.negative_slope,
                              .channels = stage.channels,
                              .delay = stage.delay,
                              .out = stage.out,
                              .y = is_last ? static_cast<T*>(pass.y) : nullptr,
                              .y_strides = pass.y_strides});
  }
  on_cuda::stream_counts(stream, streams, own_counts, pass.settle ? stages.settled : pass.steps,
                         !pass.settle);
}

}  // namespace

void run_stages_cuda(const Stages& stages, Tensor& memory, Tensor& counts, const Pass& pass) {
  memory.dtype() == float64 ? run<double>(stages, memory, counts, pass)
                            : run<float>(stages, memory, counts, pass);
}

}  // namespace warptape::streaming
