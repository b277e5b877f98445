// Streams behind strides: other rates.

#include <gtest/gtest.h>

#include "tests/models/streams.h"

namespace warptape {
namespace {

// As vocoders have them: `stride` outputs for every input.
TEST(SequenceStreamRates, OfTransposedConvolutions) {
  const auto expect_layer = [](Module&& layer, const std::vector<int64_t>& blocks,
                               int64_t channels) {
    SCOPED_TRACE(layer.type_name() + "(" + layer.settings() + ")");
    randomize(layer);
    expect_as_full_pass(layer, noise({2, channels, 12}, float64), blocks);
  };
  for (const std::vector<int64_t>& blocks : {std::vector<int64_t>{3, 1}, {12}}) {
    expect_layer(wider(3, 2, 16, 8, 4), blocks, 3);
    expect_layer(wider(3, 5, 4, 2, 1), blocks, 3);
    expect_layer(wider(3, 5, 3, 1, Sides1d{.left = 0, .right = 2}), blocks, 3);
    expect_layer(wider(2, 3, 5, 2, Sides1d{.left = 0, .right = 3}), blocks, 2);
    expect_layer(wider(2, 3, 5, 2, Sides1d{.left = 3, .right = 0}), blocks, 2);
    expect_layer(wider(2, 3, 5, 2, 2, 1), blocks, 2);
    expect_layer(wider(2, 3, 2, 3, 0, 1), blocks, 2);     // a phase of nothing but bias
    expect_layer(wider(2, 3, 3, 4, 1, 1, 2), blocks, 2);  // taps that share a phase
    expect_layer(wider(2, 3, 4, 3, Sides1d{.left = 1, .right = 6}, 0, 3), blocks, 2);
    expect_layer(wider(2, 3, 3, 2, Sides1d{.left = 1, .right = 4}, 0, 3), blocks, 2);
    expect_layer(wider(4, 6, 4, 2, 1, 0, 1, 2), blocks, 4);  // groups
    expect_layer(Sequential(wider(3, 4, 4, 2, 1), ReLU(), wider(4, 2, 7, 3, 2),
                            narrower(2, 2, 3, 1, Padding1d::same())),
                 blocks, 3);
  }
}

TEST(SequenceStreamRates, OfStridedConvolutions) {
  const auto expect_layer = [](Module&& layer, const std::vector<int64_t>& blocks,
                               int64_t multiple) {
    SCOPED_TRACE(layer.type_name() + "(" + layer.settings() + ")");
    randomize(layer);
    EXPECT_EQ(SequenceStream(layer).steps_multiple(), multiple);
    expect_as_full_pass(layer, noise({2, 2, 24}, float64), blocks);
  };
  expect_layer(narrower(2, 3, 4, 2, Padding1d::causal()), {2, 4}, 2);
  expect_layer(narrower(2, 3, 4, 2, 1), {2, 4}, 2);
  expect_layer(narrower(2, 3, 5, 2, Sides1d{.left = 0, .right = 3}), {2, 4}, 2);
  expect_layer(narrower(2, 3, 3, 3, 0), {3, 6, 3}, 3);
  expect_layer(narrower(2, 4, 3, 4, Sides1d{.left = 2, .right = 0}, 2, 2), {4, 8}, 4);
  const auto conv = [] { return narrower(4, 4, 3, 1, Padding1d::same()); };
  expect_layer(Sequential(narrower(2, 4, 3, 1, Padding1d::same()), narrower(4, 4, 4, 2, 1), conv(),
                          wider(4, 3, 4, 2, 1)),
               {2, 4, 6}, 2);
  expect_layer(Sequential(wider(2, 4, 6, 3, Sides1d{.left = 2, .right = 1}), conv(),
                          narrower(4, 4, 4, 2, 1), ReLU(), conv()),
               {2, 4, 6}, 2);
  expect_layer(Sequential(narrower(2, 4, 4, 2, 1), conv(), narrower(4, 4, 3, 2, 1), conv(),
                          wider(4, 4, 8, 4, 2), conv()),
               {4, 8}, 4);
}

// x at 3/2 of its steps.
Sequential resampler(bool causal) {
  const auto padding = [&](Padding1d centred) { return causal ? Padding1d::causal() : centred; };
  return Sequential(
      wider(2, 4, 6, 3, causal ? Sides1d{.left = 0, .right = 3} : Sides1d{.left = 2, .right = 1}),
      narrower(4, 4, 3, 1, padding(Padding1d::same())), narrower(4, 4, 4, 2, padding(1)),
      narrower(4, 3, 3, 1, padding(Padding1d::same())));
}

// What a steady input becomes is not steady behind a transposed convolution.
TEST(SequenceStreamRates, OfOtherRatesSettleOnASteadyInput) {
  for (bool causal : {true, false}) {
    Sequential model = resampler(causal);
    randomize(model);
    model.eval();
    const Tensor steady = noise({2, 2}, float64, 7);
    const Tensor x = noise({2, 2, 12}, float64);
    const Tensor past = Tensor::ones({2, 2, 20}, float64) * reshape(steady, {2, 2, 1});
    const Tensor wanted = steps_of(model(concat({past, x}, 2)), 30, 48);
    for (Device device : available_devices()) {
      SCOPED_TRACE(to_string(device) + (causal ? ", causal" : ", centred"));
      model.to(device);
      const SequenceStream stream(model, {.batch = 2, .block = 4});
      StreamState state = stream.steady(steady.to(device));
      EXPECT_EQ(stream.output_shape(4), Shape({2, 3, 6}));
      const int64_t delay = stream.delay();
      EXPECT_EQ(delay == 0, causal);
      Tensor got = streamed(stream, state, x, {4, 2});
      expect_close(steps_of(got, delay, delay + 18), wanted, 1e-12);
      // Saved and loaded in the middle, between streams of other blocks.
      stream.settle(state, steady.to(device));
      streamed(stream, state, steps_of(x, 0, 6), {2}, false);
      const SequenceStream other(model, {.batch = 2, .block = 2});
      StreamState loaded = other.zeros();
      other.load_state_dict(loaded, stream.state_dict(state));
      got = streamed(other, loaded, steps_of(x, 6, 12), {2});
      expect_close(steps_of(got, delay, delay + 9), steps_of(wanted, 9, 18), 1e-12);
    }
  }
}

TEST(SequenceStreamRates, OfOtherRatesTakeStepsInGroups) {
  Sequential model = resampler(false);
  const SequenceStream stream(model, {.batch = 2, .block = 4});
  EXPECT_EQ(stream.steps_multiple(), 2);
  EXPECT_EQ(stream.output_steps(4), 6);
  StreamState state = stream.zeros();
  StateDict odd = stream.state_dict(state);
  odd[0].second = tensor<int64_t>({3, 3}, {2});
  expect_throws<ValueError>([&] { stream.load_state_dict(state, odd); },
                            {"[stream] steps: got other numbers than multiples of 2"});
  expect_throws<ShapeError>(
      [&] {
        stream.step(state, Tensor::zeros({2, 2, 3}, float64));
      },
      {"[stream] steps: got 3, wanted a multiple of 2: the model gives 3"});
  std::vector<double> in(2 * 2 * 4, 0.5);
  std::vector<double> out(2 * 3 * 6);
  stream.step(state, in, out);
  StreamState other = stream.zeros();
  EXPECT_EQ(out, stream.step(other, Tensor::full({2, 2, 4}, 0.5, float64)).to_vector<double>());
  // No call allocates anything.
  const Tensor x = Tensor::ones({2, 2, 4}, float64);
  Tensor y = Tensor::empty(stream.output_shape(4), float64);
  Tensor rest = Tensor::empty({2, 3, stream.delay()}, float64);
  const uint64_t blocks = memory_stats(cpu).allocations;
  const uint64_t heap = heap_allocations();
  stream.step(state, x, y);
  stream.finish(state, rest);
  EXPECT_EQ(memory_stats(cpu).allocations, blocks);
  if (counts_heap_allocations()) {
    EXPECT_EQ(heap_allocations(), heap);
  }
}

TEST(SequenceStreamRates, OfThePaddingOfAConvolutionAlone) {
  Conv1d layer({.in_channels = 1, .out_channels = 1, .kernel_size = 5, .padding = 2});
  EXPECT_EQ(SequenceStream(layer).delay(), 2);
}

}  // namespace
}  // namespace warptape
