// What streams remember: steady inputs, copies, files, plain memory.

#include <gtest/gtest.h>

#include "tests/models/streams.h"

namespace warptape {
namespace {

// With conditions, too, as if both had always been like this. The memory of a state is that of a
// condition as well.
TEST(SequenceStreamStates, RememberConditions) {
  TCN::Options options = small();
  options.net.block.condition_channels = 3;
  options.net.block.causal = false;
  options.net.block.norm = BlockNorm::Layer;
  options.net.block.skip_channels = 4;
  TCN model(options);
  randomize(model);
  model.eval();
  const Tensor steady = noise({2, 2}, float64, 7);
  const Tensor steady_condition = noise({2, 3}, float64, 8);
  const int64_t before = model.receptive_field();
  const auto with_past = [&](const Tensor& value, const Tensor& x) {
    const Tensor ones = Tensor::ones({2, x.size(1), before}, float64);
    return concat({ones * reshape(value, {2, x.size(1), 1}), x}, 2);
  };
  const Tensor x = noise({2, 2, 30}, float64);
  const Tensor condition = noise({2, 3, 30}, float64, 9);
  const Tensor wanted =
      steps_of(model(with_past(steady, x), with_past(steady_condition, condition)), before,
               before + 30, true);
  for (Device device : available_devices()) {
    SCOPED_TRACE(to_string(device));
    model.to(device);
    const SequenceStream stream(model, {.batch = 2, .block = 7});
    EXPECT_EQ(stream.condition_channels(), 3);
    StreamState state = stream.zeros();
    stream.settle_with(state, steady.to(device), steady_condition.to(device));
    streamed(stream, state, steps_of(x, 0, 11), {4}, false, steps_of(condition, 0, 11));
    StreamState other = stream.zeros();
    stream.load_state_dict(other, stream.state_dict(state));
    const Tensor rest =
        streamed(stream, other, steps_of(x, 11, 30), {7, 2}, true, steps_of(condition, 11, 30));
    const int64_t delay = stream.delay();
    expect_close(steps_of(rest, delay, delay + 19, true), steps_of(wanted, 11, 30, true), 1e-12);
  }
}

// As if the sequence had always been like this.
TEST(SequenceStreamStates, SettleOnASteadyInput) {
  for (bool causal : {true, false}) {
    TCN::Options options = small();
    options.net.block.causal = causal;
    options.net.block.activation = BlockActivation::Gated;
    TCN model(options);
    randomize(model);
    model.eval();
    const Tensor steady = tensor<double>({0.5, -2, 1, 3}, {2, 2});
    const Tensor x = noise({2, 2, 30}, float64);
    const int64_t before = model.receptive_field();
    const Tensor all =
        concat({Tensor::ones({2, 2, before}, float64) * reshape(steady, {2, 2, 1}), x}, 2);
    const Tensor wanted = steps_of(model(all), before, before + 30, true);
    for (Device device : available_devices()) {
      SCOPED_TRACE(to_string(device));
      model.to(device);
      const SequenceStream stream(model, {.batch = 2, .block = 7});
      StreamState state = stream.steady(steady.to(device));
      const int64_t delay = stream.delay();
      const Tensor fresh = streamed(stream, state, x, {7, 2});
      expect_close(steps_of(fresh, delay, delay + 30, true), wanted, 1e-12);
      // The outputs that the delay brings along are the steady ones.
      expect_close(steps_of(fresh, 0, delay, true),
                   steps_of(model(all.to(device)).to(cpu), before - delay, before, true), 1e-12);
      stream.settle(state, steady.to(device));
      EXPECT_EQ(streamed(stream, state, x, {7, 2}).to_vector<double>(), fresh.to_vector<double>());
    }
    model.to(cpu);
  }
}

TEST(SequenceStreamStates, HaveStatesThatAreCopiedAndReset) {
  TCN::Options options = small();
  options.net.channels = {5, 4};
  options.net.block.causal = false;  // so that a stream knows how far it is
  TCN model(options);
  randomize(model);
  const Tensor x = noise({2, 2, 24}, float64);
  for (Device device : available_devices()) {
    SCOPED_TRACE(to_string(device));
    model.to(device);
    const SequenceStream stream(model, {.batch = 2, .block = 12});
    StreamState state = stream.zeros();
    const auto run = [&](StreamState& from, int64_t begin, int64_t end) {
      return streamed(stream, from, steps_of(x, begin, end), {12}, false).to_vector<double>();
    };
    const std::vector<double> first = run(state, 0, 12);
    StreamState copy = state;
    StreamState assigned = stream.zeros();
    run(assigned, 3, 9);
    assigned = state;
    const std::vector<double> wanted = run(state, 12, 24);
    EXPECT_NE(wanted, first);
    EXPECT_EQ(run(copy, 12, 24), wanted);
    EXPECT_EQ(run(assigned, 12, 24), wanted);
    stream.reset(state);
    EXPECT_EQ(run(state, 0, 12), first);
    // One of the two begins again.
    stream.reset(state, 1);
    const std::vector<double> mixed = run(state, 12, 24);
    const auto half = static_cast<std::ptrdiff_t>(wanted.size() / 2);
    EXPECT_TRUE(std::equal(mixed.begin(), mixed.begin() + half, wanted.begin()));
    StreamState fresh = stream.zeros();
    const std::vector<double> begun = run(fresh, 12, 24);
    EXPECT_TRUE(std::equal(mixed.begin() + half, mixed.end(), begun.begin() + half));
    EXPECT_FALSE(std::equal(mixed.begin() + half, mixed.end(), wanted.begin() + half));
  }
}

// Between devices and blocks, too, in the middle of a sequence and of its delay.
TEST(SequenceStreamStates, SaveAndLoadTheirStates) {
  TCN::Options options = small();
  options.net.block.causal = false;
  TCN model(options);
  randomize(model);
  const Tensor x = noise({2, 2, 40}, float64);
  for (int64_t before : {5, 31}) {
    const SequenceStream whole(model, {.batch = 2, .block = 40});
    StreamState state = whole.zeros();
    streamed(whole, state, steps_of(x, 0, before), {9}, false);
    const StateDict saved = whole.state_dict(state);
    const Tensor wanted = streamed(whole, state, steps_of(x, before, 40), {40});
    for (Device device : available_devices()) {
      SCOPED_TRACE(to_string(device));
      model.to(device);
      const SequenceStream other(model, {.batch = 2, .block = 3});
      StreamState loaded = other.steady(Tensor::ones({2, 2}, float64, device));
      other.load_state_dict(loaded, saved);
      const StateDict again = other.state_dict(loaded);
      ASSERT_EQ(again.size(), saved.size());
      for (size_t i = 0; i < saved.size(); ++i) {
        EXPECT_EQ(again[i].first, saved[i].first);
        EXPECT_EQ(again[i].second.to(float64).to_vector<double>(),
                  saved[i].second.to(float64).to_vector<double>());
      }
      expect_close(streamed(other, loaded, steps_of(x, before, 40), {3, 1}), wanted, 1e-12);
    }
    model.to(cpu);
  }
}

TEST(SequenceStreamStates, AllocateNothingOnceTheyHaveBegun) {
  for (Device device : available_devices()) {
    SCOPED_TRACE(to_string(device));
    TCN::Options options = small(float32);
    options.net.block.causal = false;
    TCN model(options);
    model.to(device);
    options.net.block.norm = BlockNorm::Layer;
    options.net.block.skip_channels = 3;
    options.net.block.condition_channels = 2;
    TCN conditioned(options);
    conditioned.to(device);
    const SequenceStream with(conditioned, {.batch = 2, .block = 5});
    StreamState of_with = with.zeros();
    const SequenceStream stream(model, {.batch = 2, .block = 5});
    StreamState state = stream.zeros();
    const StreamState other = state;
    const Tensor x = Tensor::ones({2, 2, 5}, float32, device);
    const Tensor steady = Tensor::ones({2, 2}, float32, device);
    Tensor y = Tensor::empty(stream.output_shape(5), float32, device);
    Tensor rest = Tensor::empty(stream.output_shape(stream.delay()), float32, device);
    std::vector<float> in(4);
    std::vector<float> out(6);
    const auto all = [&] {
      stream.step(state, x, y);
      if (device == cpu) {
        stream.step(state, in, out);
      }
      stream.reset(state);
      stream.settle(state, steady);
      stream.step(state, x, y);
      stream.finish(state, rest);
      state = other;
      with.step_with(of_with, x, steady, y);
      with.step_with(of_with, x, x, y);
      with.settle_with(of_with, steady, steady);
      with.finish(of_with, rest);
    };
    all();
    const uint64_t blocks = memory_stats(device).allocations;
    const uint64_t heap = heap_allocations();
    all();
    EXPECT_EQ(memory_stats(device).allocations, blocks);
    if (counts_heap_allocations()) {
      EXPECT_EQ(heap_allocations(), heap);
    }
  }
}

TEST(SequenceStreamStates, TakePlainMemory) {
  TCN model(small());
  randomize(model);
  const Tensor x = noise({2, 2, 8}, float64);
  const SequenceStream stream(model, {.batch = 2, .block = 8});
  StreamState state = stream.zeros();
  const std::vector<double> wanted = stream.step(state, x).to_vector<double>();
  stream.reset(state);
  const std::vector<double> in = x.to_vector<double>();
  std::vector<double> out(wanted.size());
  stream.step(state, in, out);
  EXPECT_EQ(out, wanted);
  // (N, L, C) in memory.
  stream.reset(state);
  EXPECT_EQ(stream.step(state, x.to(MemoryFormat::ChannelsLast)).to_vector<double>(), wanted);
}

}  // namespace
}  // namespace warptape
