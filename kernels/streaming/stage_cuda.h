#pragma once
#include "core/device/gpu.h"
#include "kernels/streaming/ring.h"

namespace warptape::on_cuda {

template <class T>
struct StreamFilters {
  const T* weights = nullptr;  // (taps, in_channels / groups, out_channels)
  const T* bias = nullptr;     // (out_channels)
  int64_t taps = 0;
  int64_t dilation = 0;
  int64_t in_channels = 0;  // of a group
  int64_t out_channels = 0;
  int64_t group_outputs = 1;  // outputs of a group
};

// A stage as its kernel takes it, for all streams.
template <class T>
struct StreamStage {
  T* memory = nullptr;  // (streams, elements)
  int64_t elements = 0;
  const int64_t* counts = nullptr;  // (streams) steps of the input before these
  int64_t rows = 0;                 // of the result
  int64_t y_rows = 0;               // that y has room for
  streaming::Rate rate;
  int64_t ended = streaming::not_ended;
  bool has_times = true;  // false: the rows are those of any time
  streaming::Ring in;
  streaming::Source source = streaming::Source::Filters;
  StreamFilters<T> filters;
  int64_t stride = 1;
  int64_t newest = 0;
  const T* norm_weight = nullptr;
  const T* norm_bias = nullptr;
  double norm_eps = 0;
  streaming::Ring condition;
  StreamFilters<T> conditioning;
  int64_t condition_lag = 0;
  streaming::Activation first = streaming::Activation::None;
  streaming::Ring residual;
  int64_t lag = 0;
  StreamFilters<T> shortcut;
  streaming::Activation last = streaming::Activation::None;
  double negative_slope = 0;
  int64_t channels = 0;
  int64_t delay = 0;
  streaming::Ring out;
  T* y = nullptr;
  streaming::StepStrides y_strides;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(memory), visit(counts), visit(y);
    visit(filters.weights), visit(filters.bias);
    visit(shortcut.weights), visit(shortcut.bias);
    visit(norm_weight), visit(norm_bias);
    visit(conditioning.weights), visit(conditioning.bias);
  }
};

// Rows of x, or zeros, into a ring.
template <class T>
struct StreamInput {
  T* memory = nullptr;
  int64_t elements = 0;
  const int64_t* counts = nullptr;
  int64_t steps = 0;
  streaming::Ring ring;
  const T* x = nullptr;
  streaming::StepStrides x_strides;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(memory), visit(counts), visit(x);
  }
};

template <class T>
void stream_input(gpu::StreamHandle stream, int64_t streams, const StreamInput<T>& input);
template <class T>
void stream_stage(gpu::StreamHandle stream, int64_t streams, const StreamStage<T>& stage);
// counts += steps, or = steps.
void stream_counts(gpu::StreamHandle stream, int64_t streams, int64_t* counts, int64_t steps,
                   bool add);

}  // namespace warptape::on_cuda
