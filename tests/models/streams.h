#pragma once
// What tests of streams share: small models, their weights, sequences in blocks.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "kernels/streaming/instructions.h"
#include "layers/batch_norm.h"
#include "layers/channel_dropout.h"
#include "layers/conv_transpose1d.h"
#include "layers/dropout.h"
#include "layers/precision.h"
#include "layers/relu.h"
#include "layers/weight_norm.h"
#include "models/sequence_stream.h"
#include "models/tcn.h"
#include "tests/core/expect_throws.h"
#include "tests/kernels/devices.h"
#include "tests/support/heap_count.h"

namespace warptape {

using Options = SequenceStream::Options;

inline TCN::Options small(DType dtype = float64) {
  TCN::Options options;
  options.net.input_channels = 2;
  options.net.channels = {5, 5, 4};
  options.net.kernel_size = 3;
  options.net.block.dtype = dtype;
  options.output_size = 3;
  options.head = TCN::Head::EveryStep;
  return options;
}

inline Tensor noise(const Shape& shape, DType dtype, uint64_t seed = 3) {
  Generator generator(seed);
  return randn(shape, float32, generator).to(dtype);
}

// Initial heads, biases and statistics are near 0 or 1: a mistake in what they multiply would hide.
inline void randomize(Module& model) {
  uint64_t seed = 20;
  for (const NamedParameter& named : named_parameters(model)) {
    const Tensor& value = named.parameter->value();
    named.parameter->assign(noise(value.shape(), value.dtype(), seed++).to(cpu) * 0.4);
  }
  for (const NamedBuffer& named : named_buffers(model)) {
    const Tensor& value = named.buffer->value();
    if (value.dtype() != int64) {
      named.buffer->assign(abs(noise(value.shape(), value.dtype(), seed++)) + 0.1);
    }
  }
}

// The steps [begin, end) of a sequence, (N, C, L) or, with steps_first, (N, L, C).
inline Tensor steps_of(const Tensor& x, int64_t begin, int64_t end, bool steps_first = false) {
  return slice(x, steps_first ? 1 : 2, begin, end);
}

// All outputs of a sequence that comes in blocks of these sizes, over and over, delay and end
// among them.
// condition: undefined, (N, K) or (N, K, L).
inline Tensor streamed(const SequenceStream& stream, StreamState& state, const Tensor& x,
                       const std::vector<int64_t>& blocks, bool finish = true,
                       const Tensor& condition = Tensor()) {
  const bool steps_first = stream.output_shape(77)[1] == 77;
  std::vector<Operand> parts;
  size_t next = 0;
  for (int64_t at = 0; at < x.size(2);) {
    const int64_t steps = std::min(blocks[next++ % blocks.size()], x.size(2) - at);
    const Tensor part = steps_of(x, at, at + steps).to(stream.device());
    if (condition.defined()) {
      const Tensor given = condition.rank() == 2 ? condition : steps_of(condition, at, at + steps);
      parts.emplace_back(stream.step_with(state, part, given.to(stream.device())).to(cpu));
    } else {
      parts.emplace_back(stream.step(state, part).to(cpu));
    }
    at += steps;
  }
  if (finish && stream.delay() > 0) {
    parts.emplace_back(stream.finish(state).to(cpu));
  }
  return concat(parts, steps_first ? 1 : 2);
}

inline void expect_close(const Tensor& got, const Tensor& wanted, double tolerance) {
  ASSERT_EQ(got.shape(), wanted.shape());
  const std::vector<double> a = got.to(float64).to_vector<double>();
  const std::vector<double> b = wanted.to(float64).to_vector<double>();
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]) / std::max(1.0, std::abs(b[i]));
    largest = difference <= largest ? largest : difference;
  }
  EXPECT_LE(largest, tolerance);
}

inline double tolerance_of(DType dtype) {
  return dtype == float64 ? 1e-12 : 1e-5;
}

// On every device, two streams at once.
template <class Model>
void expect_as_full_pass(Model& model, const Tensor& x, const std::vector<int64_t>& blocks,
                         bool steps_first = false, const Tensor& condition = Tensor()) {
  model.to(cpu);
  model.eval();
  const Tensor wanted = [&] {
    if constexpr (std::is_base_of_v<ConditionedModule, Model>) {
      return model(x, condition);
    } else {
      return model(x);
    }
  }();
  for (Device device : available_devices()) {
    SCOPED_TRACE(to_string(device));
    model.to(device);
    const int64_t block = *std::max_element(blocks.begin(), blocks.end());
    const SequenceStream stream(model, {.batch = x.size(0), .block = block});
    StreamState state = stream.zeros();
    const Tensor got = streamed(stream, state, x, blocks, true, condition);
    const int64_t delay = stream.delay();
    const int64_t length = wanted.size(steps_first ? 1 : 2);
    EXPECT_EQ(stream.output_steps(x.size(2)), length);
    expect_close(steps_of(got, delay, delay + length, steps_first), wanted,
                 tolerance_of(x.dtype()));
    if (delay > 0) {
      EXPECT_EQ(sum(abs(steps_of(got, 0, delay, steps_first))).item(), 0);
    }
  }
  model.to(cpu);
}

inline void expect_as_full_pass(const TCN::Options& options,
                                const std::vector<int64_t>& blocks = {3, 7, 1},
                                int64_t length = 40) {
  TCN model(options);
  randomize(model);
  const DType dtype = options.net.block.dtype;
  const Tensor x = noise({2, 2, length}, dtype);
  const int64_t conditions = options.net.block.condition_channels;
  if (conditions == 0) {
    return expect_as_full_pass(model, x, blocks, true);
  }
  expect_as_full_pass(model, x, blocks, true, noise({2, conditions}, dtype, 5));
  expect_as_full_pass(model, x, blocks, true, noise({2, conditions, length}, dtype, 5));
}

// Convolutions of other rates.
inline ConvTranspose1d wider(int64_t in, int64_t out, int64_t kernel_size, int64_t stride,
                             Padding1d padding, int64_t output_padding = 0, int64_t dilation = 1,
                             int64_t groups = 1) {
  return ConvTranspose1d({.in_channels = in,
                          .out_channels = out,
                          .kernel_size = kernel_size,
                          .stride = stride,
                          .padding = padding,
                          .output_padding = output_padding,
                          .dilation = dilation,
                          .groups = groups,
                          .dtype = float64});
}

inline Conv1d narrower(int64_t in, int64_t out, int64_t kernel_size, int64_t stride,
                       Padding1d padding, int64_t dilation = 1, int64_t groups = 1) {
  return Conv1d({.in_channels = in,
                 .out_channels = out,
                 .kernel_size = kernel_size,
                 .stride = stride,
                 .padding = padding,
                 .dilation = dilation,
                 .groups = groups,
                 .dtype = float64});
}

}  // namespace warptape
