#pragma once
// A model of a sequence, step by step: sound as it comes in, a sensor's readings, characters.
//
//   TCN model(options);                                   // trained
//   SequenceStream stream(model, {.batch = 2, .block = 64});
//   StreamState state = stream.zeros();
//   Tensor x = Tensor::empty({2, 1, 64});                 // (batch, in_channels, steps)
//   Tensor y = Tensor::empty(stream.output_shape(64));    // (2, 64, output_size)
//   while (read(x)) {
//     stream.step(state, x, y);                           // the next 64 steps of both
//   }
//
// The outputs are those of the model in eval() over the whole sequence, whatever the blocks that it
// comes in; a step costs the same however far back the model sees.

#include <memory>
#include <span>

#include "core/tensor.h"
#include "layers/module.h"
#include "layers/state_dict.h"

namespace warptape {

struct StreamStages;
namespace streaming {
struct Pass;
}

// What streams remember: the newest elements at each layer, as a value. Copies are deep; assigning
// one to another of the same shape copies into the memory that is there. Reset, saved and loaded by
// its SequenceStream, or by any of a model of the same shape, batch and block.
class StreamState {
 public:
  StreamState() = default;  // of no stream
  StreamState(const StreamState& other);
  StreamState& operator=(const StreamState& other);
  StreamState(StreamState&&) noexcept = default;
  StreamState& operator=(StreamState&&) noexcept = default;
  ~StreamState() = default;

 private:
  friend class SequenceStream;
  std::shared_ptr<const StreamStages> of_;
  Tensor memory_;   // (batch, elements of a stream)
  Tensor counts_;   // (batch) steps so far
  Tensor scratch_;  // on the CPU
};

struct SequenceStreamOptions {
  int64_t batch = 1;   // streams, independent of each other: 1 to 65535
  int64_t block = 64;  // the most steps of a call: 1 to 4096
};

// Immutable: threads may share one, each with states of its own. It has the weights that the model
// had when it was made, weight norm folded, and lives on the model's device.
//
// Takes a TCN, whose output is (batch, steps, output_size) whichever head it has; or a
// TemporalConvNet, TemporalBlock, Conv1d, ConvTranspose1d, BatchNorm1d, ReLU, dropout or a
// Sequential of these, whose output is (batch, out_channels, steps). Batch norms are by their
// running statistics. Convolutions have as many outputs as inputs, causal, centred ("same"), or
// with other paddings that add up to that; with a stride they have one for every `stride` inputs,
// and transposed `stride` for every input. Hooks of modules are not called.
//
// Where strides change the number of steps, steps of x come in multiples of steps_multiple(), and
// have output_steps(steps) of y.
//
// A model with conditions takes them in the _with functions: for the steps of x either a vector
// (batch, condition_channels), the same at all of them, or (batch, condition_channels, steps).
//
// Where the model sees elements after its own, an output comes delay() steps of y later: the first
// delay() outputs of a stream are 0, and finish() gives the last ones.
//
// On "cuda" a step is a launch per convolution, layer norm and sum of skips; calls may be recorded
// in a gpu::Graph, and replays take x, go on from the state and write y.
class SequenceStream {
 public:
  using Options = SequenceStreamOptions;

  // ValueError or ShapeError names the layer that cannot be streamed; DTypeError unless it computes
  // in float32 or float64.
  explicit SequenceStream(Module& model, Options options = {}, const Site& site = Site::here());

  // In front of its sequence a stream has seen zeros, or a steady input for as long as it can
  // remember: x (batch, in_channels).
  StreamState zeros() const;
  StreamState steady(const Tensor& x, const Site& site = Site::here()) const;
  // The same of a state that is there; nothing is allocated.
  void reset(StreamState& state, const Site& site = Site::here()) const;
  void reset(StreamState& state, int64_t stream, const Site& site = Site::here()) const;
  void settle(StreamState& state, const Tensor& x, const Site& site = Site::here()) const;

  // The next steps of every stream, as many as x has, `block` at most, and a multiple of
  // steps_multiple(): x (batch, in_channels,
  // steps), y as output_shape(steps). Allocates nothing. A ShapeError, DTypeError, DeviceError or
  // ValueError leaves the state and y as they are.
  void step(StreamState& state, const Tensor& x, Tensor& y, const Site& site = Site::here()) const;
  Tensor step(StreamState& state, const Tensor& x, const Site& site = Site::here()) const;
  // The same elements in plain memory, for streams on the CPU; x says how many steps.
  void step(StreamState& state, std::span<const float> x, std::span<float> y,
            const Site& site = Site::here()) const;
  void step(StreamState& state, std::span<const double> x, std::span<double> y,
            const Site& site = Site::here()) const;

  // The same of a model with conditions.
  void step_with(StreamState& state, const Tensor& x, const Tensor& condition, Tensor& y,
                 const Site& site = Site::here()) const;
  Tensor step_with(StreamState& state, const Tensor& x, const Tensor& condition,
                   const Site& site = Site::here()) const;
  // condition: (batch, condition_channels).
  void settle_with(StreamState& state, const Tensor& x, const Tensor& condition,
                   const Site& site = Site::here()) const;

  // The sequences are over: the outputs that are still to come, delay() of each. Then the
  // state is that of zeros().
  void finish(StreamState& state, Tensor& y, const Site& site = Site::here()) const;
  Tensor finish(StreamState& state, const Site& site = Site::here()) const;

  // The state as tensors on the CPU, for a file: "steps" (batch), and "history.N" (batch, channels,
  // elements), those of the input and behind each layer, in their order, and of the condition. They
  // do not depend on device, processor or block.
  StateDict state_dict(const StreamState& state, const Site& site = Site::here()) const;
  // ValueError that says what is missing or of another shape leaves the state as it is.
  void load_state_dict(StreamState& state, const StateDict& dict,
                       const Site& site = Site::here()) const;

  int64_t batch() const { return options_.batch; }
  int64_t block() const { return options_.block; }
  int64_t in_channels() const;
  int64_t out_channels() const;
  int64_t condition_channels() const;  // 0: the model takes no condition
  int64_t delay() const;               // in steps of y
  int64_t steps_multiple() const;
  int64_t output_steps(int64_t steps) const;
  Shape output_shape(int64_t steps) const;
  DType dtype() const;
  Device device() const;

 private:
  Shape shape_of(int64_t outputs) const;
  void check_state(const StreamState& state, const Site& site) const;
  void check_tensor(const char* name, const Tensor& tensor, const Shape& wanted,
                    const Site& site) const;
  void check_steady(const Tensor& x, const Site& site) const;
  void check_condition(const Tensor& condition, int64_t steps, const Site& site) const;
  // condition: undefined where there is none.
  void step_either(StreamState& state, const Tensor& x, const Tensor& condition, Tensor& y,
                   const Site& site) const;
  void settle_either(StreamState& state, const Tensor& x, const Tensor& condition,
                     const Site& site) const;
  void check_steps(int64_t steps, const Site& site) const;
  template <class T>
  void step_spans(StreamState& state, std::span<const T> x, std::span<T> y, const Site& site) const;
  void run(StreamState& state, const streaming::Pass& pass) const;

  Options options_;
  std::shared_ptr<const StreamStages> stages_;
};

}  // namespace warptape
