#include "models/sequence_stream.h"

#include <algorithm>
#include <cstddef>
#include <functional>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "models/stream_stages.h"

namespace warptape {
namespace {

using streaming::Pass;
using streaming::StepStrides;

constexpr int64_t most_streams = 65535;  // blocks of a launch in its second dimension
constexpr int64_t most_steps = 4096;

}  // namespace

SequenceStream::SequenceStream(Module& model, Options options, const Site& site)
    : options_(options) {
  check<ValueError>(options.batch >= 1 && options.batch <= most_streams, site,
                    "[stream] batch: got {}, wanted 1 to {}", options.batch, most_streams);
  check<ValueError>(options.block >= 1 && options.block <= most_steps, site,
                    "[stream] block: got {}, wanted 1 to {}", options.block, most_steps);
  stages_ = std::make_shared<StreamStages>(stream_stages(model, options.block, site));
}

int64_t SequenceStream::in_channels() const {
  return stages_->in_channels;
}
int64_t SequenceStream::out_channels() const {
  return stages_->out_channels;
}
int64_t SequenceStream::condition_channels() const {
  return stages_->condition_channels;
}
int64_t SequenceStream::delay() const {
  return stages_->stages.delay;
}
DType SequenceStream::dtype() const {
  return stages_->dtype;
}
Device SequenceStream::device() const {
  return stages_->device;
}
int64_t SequenceStream::steps_multiple() const {
  return stages_->stages.group;
}
int64_t SequenceStream::output_steps(int64_t steps) const {
  return stages_->stages.rate.rows(steps);
}
Shape SequenceStream::output_shape(int64_t steps) const {
  return shape_of(output_steps(steps));
}
Shape SequenceStream::shape_of(int64_t outputs) const {
  return stages_->steps_first ? Shape{options_.batch, outputs, out_channels()}
                              : Shape{options_.batch, out_channels(), outputs};
}

StreamState SequenceStream::zeros() const {
  StreamState state;
  const streaming::Stages& stages = stages_->stages;
  state.memory_ = Tensor::zeros({options_.batch, stages.elements}, dtype(), device());
  state.counts_ = Tensor::zeros({options_.batch}, int64, device());
  if (device().type == DeviceType::CPU) {
    state.scratch_ = Tensor::empty({options_.batch, stages.scratch_elements()}, dtype());
  }
  state.of_ = stages_;
  return state;
}

StreamState SequenceStream::steady(const Tensor& x, const Site& site) const {
  check_steady(x, site);
  StreamState state = zeros();
  settle(state, x, site);
  return state;
}

void SequenceStream::reset(StreamState& state, const Site& site) const {
  check_state(state, site);
  primitives::fill(state.memory_, 0);
  primitives::fill(state.counts_, 0);
}

void SequenceStream::reset(StreamState& state, int64_t stream, const Site& site) const {
  check_state(state, site);
  check<ValueError>(stream >= 0 && stream < options_.batch, site,
                    "[stream] stream: got {}, wanted 0 to {}", stream, options_.batch - 1);
  Tensor memory = state.memory_.slice(stream, stream + 1);
  Tensor count = state.counts_.slice(stream, stream + 1);
  primitives::fill(memory, 0);
  primitives::fill(count, 0);
}

void SequenceStream::settle(StreamState& state, const Tensor& x, const Site& site) const {
  settle_either(state, x, Tensor(), site);
}

void SequenceStream::settle_with(StreamState& state, const Tensor& x, const Tensor& condition,
                                 const Site& site) const {
  settle_either(state, x, condition, site);
}

void SequenceStream::settle_either(StreamState& state, const Tensor& x, const Tensor& condition,
                                   const Site& site) const {
  check_state(state, site);
  check_steady(x, site);
  check_condition(condition, 0, site);
  Pass pass{.x = x.raw_data(),
            .x_strides = {.stream = x.stride(0), .channel = x.stride(1)},
            .settle = true};
  if (condition.defined()) {
    pass.condition = condition.raw_data();
    pass.condition_strides = {.stream = condition.stride(0), .channel = condition.stride(1)};
  }
  run(state, pass);
}

void SequenceStream::step(StreamState& state, const Tensor& x, Tensor& y, const Site& site) const {
  step_either(state, x, Tensor(), y, site);
}

void SequenceStream::step_with(StreamState& state, const Tensor& x, const Tensor& condition,
                               Tensor& y, const Site& site) const {
  step_either(state, x, condition, y, site);
}

void SequenceStream::step_either(StreamState& state, const Tensor& x, const Tensor& condition,
                                 Tensor& y, const Site& site) const {
  check_state(state, site);
  check<ShapeError>(x.defined() && x.rank() == 3, site,
                    "[stream] x: got {}, wanted ({}, {}, steps)",
                    x.defined() ? x.shape().to_string() : "none", options_.batch, in_channels());
  const int64_t steps = x.size(2);
  check_tensor("x", x, {options_.batch, in_channels(), steps}, site);
  check_steps(steps, site);
  check_condition(condition, steps, site);
  check_tensor("y", y, output_shape(steps), site);
  check<ValueError>(
      !y.shares_storage_with(x) && !(condition.defined() && y.shares_storage_with(condition)), site,
      "[stream] y: got the storage of {}, wanted one of its own",
      y.shares_storage_with(x) ? "x" : "condition");
  const int channel = stages_->steps_first ? 2 : 1;
  Pass pass{.x = x.raw_data(),
            .x_strides = {x.stride(0), x.stride(1), x.stride(2)},
            .y = y.mutable_raw_data(),
            .y_strides = {y.stride(0), y.stride(channel), y.stride(3 - channel)},
            .y_rows = output_steps(steps),
            .steps = steps};
  if (condition.defined()) {
    const int64_t step = condition.rank() == 3 ? condition.stride(2) : 0;
    pass.condition = condition.raw_data();
    pass.condition_strides = {condition.stride(0), condition.stride(1), step};
  }
  run(state, pass);
}

Tensor SequenceStream::step(StreamState& state, const Tensor& x, const Site& site) const {
  Tensor y =
      Tensor::empty(output_shape(x.defined() && x.rank() == 3 ? x.size(2) : 0), dtype(), device());
  step(state, x, y, site);
  y.cut_from(x, "SequenceStream::step");
  return y;
}

Tensor SequenceStream::step_with(StreamState& state, const Tensor& x, const Tensor& condition,
                                 const Site& site) const {
  Tensor y =
      Tensor::empty(output_shape(x.defined() && x.rank() == 3 ? x.size(2) : 0), dtype(), device());
  step_with(state, x, condition, y, site);
  y.cut_from(x, "SequenceStream::step_with");
  return y;
}

template <class T>
void SequenceStream::step_spans(StreamState& state, std::span<const T> x, std::span<T> y,
                                const Site& site) const {
  check_state(state, site);
  check_condition(Tensor(), 0, site);
  check<DTypeError>(dtype() == dtype_of<T>(), site, "[stream] x: got {}, wanted {}",
                    to_string(dtype_of<T>()), to_string(dtype()));
  check<DeviceError>(device() == cpu, site,
                     "[stream] x: got plain memory, wanted a tensor on {}, where the model is",
                     to_string(device()));
  const auto elements = static_cast<int64_t>(x.size());
  const int64_t row = options_.batch * in_channels();
  const int64_t steps = elements / row;
  check<ShapeError>(elements % row == 0, site,
                    "[stream] x: got {} elements, wanted a multiple of {}, ({}, {}, steps)",
                    elements, row, options_.batch, in_channels());
  check_steps(steps, site);
  const Shape wanted = output_shape(steps);
  check<ShapeError>(static_cast<int64_t>(y.size()) == wanted.numel(), site,
                    "[stream] y: got {} elements, wanted {} of {}", y.size(), wanted.numel(),
                    wanted);
  const std::less<const T*> before;
  check<ValueError>(
      !before(y.data(), x.data() + x.size()) || !before(x.data(), y.data() + y.size()), site,
      "[stream] y: got the memory of x, wanted some of its own");
  const int64_t outputs = out_channels();
  const int64_t rows = output_steps(steps);
  run(state,
      {.x = x.data(),
       .x_strides = {.stream = in_channels() * steps, .channel = steps, .step = 1},
       .y = y.data(),
       .y_strides = stages_->steps_first
                        ? StepStrides{.stream = outputs * rows, .channel = 1, .step = outputs}
                        : StepStrides{.stream = outputs * rows, .channel = rows, .step = 1},
       .y_rows = rows,
       .steps = steps});
}

void SequenceStream::step(StreamState& state, std::span<const float> x, std::span<float> y,
                          const Site& site) const {
  step_spans<float>(state, x, y, site);
}
void SequenceStream::step(StreamState& state, std::span<const double> x, std::span<double> y,
                          const Site& site) const {
  step_spans<double>(state, x, y, site);
}

void SequenceStream::finish(StreamState& state, Tensor& y, const Site& site) const {
  check_state(state, site);
  check_tensor("y", y, shape_of(delay()), site);
  const int channel = stages_->steps_first ? 2 : 1;
  const StepStrides strides{y.stride(0), y.stride(channel), y.stride(3 - channel)};
  auto* bytes = static_cast<std::byte*>(y.mutable_raw_data());
  const int64_t group = steps_multiple();
  const int64_t per_group = output_steps(group);
  const int64_t steps = (delay() + per_group - 1) / per_group * group;
  const int64_t block = options_.block / group * group;
  for (int64_t done = 0; done < steps; done += block) {
    const int64_t rows = output_steps(done);
    run(state, {.y = bytes + rows * strides.step * size_of(dtype()),
                .y_strides = strides,
                .y_rows = delay() - rows,
                .steps = std::min(block, steps - done),
                .ended = done});
  }
  reset(state, site);
}

Tensor SequenceStream::finish(StreamState& state, const Site& site) const {
  Tensor y = Tensor::empty(shape_of(delay()), dtype(), device());
  finish(state, y, site);
  return y;
}

void SequenceStream::run(StreamState& state, const Pass& pass) const {
  const streaming::Stages& stages = stages_->stages;
  on_device(
      "stream", device(),
      [&] {
        streaming::run_stages_cpu(stages, state.memory_, state.counts_, state.scratch_, pass);
      },
      [&] { streaming::run_stages_cuda(stages, state.memory_, state.counts_, pass); });
}

void SequenceStream::check_state(const StreamState& state, const Site& site) const {
  check<ValueError>(state.of_ != nullptr, site,
                    "[stream] state: got one of no stream, wanted one that zeros() made");
  check<ValueError>(are_alike(*state.of_, *stages_) && state.counts_.numel() == options_.batch,
                    site,
                    "[stream] state: got one of another model, device, batch or block, wanted one "
                    "that this stream made");
}

void SequenceStream::check_tensor(const char* name, const Tensor& tensor, const Shape& wanted,
                                  const Site& site) const {
  check<ShapeError>(tensor.defined() && tensor.shape() == wanted, site,
                    "[stream] {}: got {}, wanted {}", name,
                    tensor.defined() ? tensor.shape().to_string() : "none", wanted);
  check<DTypeError>(tensor.dtype() == dtype(), site, "[stream] {}: got {}, wanted {}", name,
                    to_string(tensor.dtype()), to_string(dtype()));
  check<DeviceError>(tensor.device() == device(), site, "[stream] {}: got {}, wanted {}", name,
                     to_string(tensor.device()), to_string(device()));
}

void SequenceStream::check_steady(const Tensor& x, const Site& site) const {
  check_tensor("x", x, {options_.batch, in_channels()}, site);
}

void SequenceStream::check_condition(const Tensor& condition, int64_t steps,
                                     const Site& site) const {
  const int64_t channels = condition_channels();
  if (channels == 0) {
    check<ValueError>(!condition.defined(), site,
                      "[stream] condition: got one, wanted none: the model takes none");
    return;
  }
  check<ValueError>(condition.defined(), site,
                    "[stream] condition: got none, wanted ({}, {}) by a function _with it",
                    options_.batch, channels);
  const bool is_vector = condition.rank() == 2 || steps == 0;
  check_tensor("condition", condition,
               is_vector ? Shape{options_.batch, channels} : Shape{options_.batch, channels, steps},
               site);
}

void SequenceStream::check_steps(int64_t steps, const Site& site) const {
  check<ShapeError>(steps >= 1 && steps <= options_.block, site,
                    "[stream] steps: got {}, wanted 1 to {}, the block", steps, options_.block);
  const int64_t group = steps_multiple();
  check<ShapeError>(steps % group == 0, site,
                    "[stream] steps: got {}, wanted a multiple of {}: the model gives {} for so "
                    "many",
                    steps, group, output_steps(group));
}

}  // namespace warptape
