#pragma once
// A network of causal convolutions, step by step: its stages, and the memory between them.
//
// Every stage reads a ring, the newest rows of a sequence, and appends rows to the next one's: one
// per step, or where strides have changed that, Rate::rows(steps). Where the network is centred,
// the rows of a ring lag behind by a delay, and those of times outside of the sequence are zeros,
// as the padding is.

#include <vector>

#include "core/tensor.h"
#include "kernels/streaming/ring.h"
#include "kernels/streaming/step_kernels.h"

namespace warptape::streaming {

// A convolution whose last tap meets the newest row. None where taps is 0.
struct Filters {
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t groups = 1;
  int64_t taps = 0;
  int64_t dilation = 1;
  // Packed. On the CPU as StepConvolution has it, block behind block of outputs; on "cuda"
  // (taps, in_channels / groups, out_channels).
  Tensor weights;
  Tensor bias;
  const StepLevel* level = nullptr;  // that the CPU's are packed for
};

// weight: (out_channels, in_channels / groups, taps), bias: (out_channels) or undefined; row-major,
// on the CPU.
Filters pack_filters(const Tensor& weight, const Tensor& bias, int64_t groups, int64_t dilation,
                     Device device);

// Over the channels of a row, as torch.nn.LayerNorm. weight, bias: (channels).
struct RowNorm {
  Tensor weight;
  Tensor bias;
  double eps = 0;
};

// Every `stride`-th row of a transposed convolution: a convolution of stride 1 whose newest row is
// `lag` rows older.
struct Phase {
  Filters filters{};
  int64_t lag = 0;
};

// One row: last(first(source of in + conditioning of the condition) + residual). Gated: tanh(a)
// sigmoid(b), a the first half of the channels.
struct Stage {
  Ring in{};
  Source source = Source::Filters;
  Filters filters{};            // of Source::Filters and Strided; of Transposed on "cuda"
  int64_t stride = 1;           // of Strided and Transposed
  int64_t newest = 0;           // of Strided: row n's newest row is n * stride + newest
  std::vector<Phase> phases{};  // of Transposed on the CPU: of row n, phase n modulo stride
  RowNorm norm{};               // of Source::LayerNorm
  Filters conditioning{};       // of one tap, of a row of Stages::condition; or none
  int64_t condition_lag = 0;    // steps by which that row is older
  Activation first = Activation::None;
  Ring residual{};     // or none
  int64_t lag = 0;     // steps by which its row is older
  Filters shortcut{};  // of one tap, of that row; or none
  Activation last = Activation::None;
  double negative_slope = 0;  // of LeakyReLU
  int64_t channels = 0;       // of the result
  Ring out{};                 // none: the result is the stream's
  int64_t delay = 0;          // of the result
  Rate rate{};                // of the result
};

struct Stages {
  Ring input;
  Ring condition;  // or none
  std::vector<Stage> list;
  int64_t elements = 0;      // of one stream's memory
  int64_t group = 1;         // steps come in multiples of so many
  int64_t chunk = 1;         // steps that go through all stages at once, a multiple of these
  int64_t chunk_rows = 1;    // of a result, at most, for that many steps
  int64_t row_elements = 0;  // of the room for a result, on the CPU
  int64_t delay = 0;         // of the output, in its rows
  int64_t settled = 0;       // steps after which no row lies before the sequence
  Rate rate{};               // of the output

  // Elements of room for the results of a stream's stages, on the CPU.
  int64_t scratch_elements() const { return 2 * chunk_rows * row_elements; }
};

// Elements of a row of so many channels, so that whole vectors may be written from any of them on.
constexpr int64_t padded_row(int64_t channels) {
  constexpr int64_t vector = 16;
  return (channels + 2 * vector - 2) / vector * vector;
}

// Steps of all streams at once.
struct Pass {
  const void* x = nullptr;  // nullptr: zeros
  StepStrides x_strides{};
  const void* condition = nullptr;  // likewise
  StepStrides condition_strides{};
  void* y = nullptr;
  StepStrides y_strides{};
  int64_t y_rows = 0;  // that y has room for: rows behind them are left out
  int64_t steps = 0;
  // Steps that the sequences have been over for when this pass begins, or not_ended.
  int64_t ended = not_ended;
  // All rings become what they are once a sequence has had the values x and condition for long. No
  // steps, no y.
  bool settle = false;
};

// memory: (streams, elements), zeros at the start, counts: (streams) steps so far, int64.
// scratch: (streams, scratch_elements()), used by the CPU alone. They allocate nothing.
void run_stages_cpu(const Stages& stages, Tensor& memory, Tensor& counts, Tensor& scratch,
                    const Pass& pass);
void run_stages_cuda(const Stages& stages, Tensor& memory, Tensor& counts, const Pass& pass);

}  // namespace warptape::streaming
