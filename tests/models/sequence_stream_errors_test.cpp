// What streams refuse.

#include <gtest/gtest.h>

#include "tests/models/streams.h"

namespace warptape {
namespace {

TEST(SequenceStreamErrors, RefuseBadInputAndKeepTheirState) {
  TCN model(small());
  randomize(model);
  const SequenceStream stream(model, {.batch = 2, .block = 6});
  StreamState state = stream.zeros();
  const Tensor x = noise({2, 2, 6}, float64);
  stream.step(state, x);
  const StateDict before = stream.state_dict(state);
  Tensor y = Tensor::zeros({2, 6, 3}, float64);
  const auto expect_refused = [&]<class E>(E*, const std::function<void()>& call,
                                           const std::string& why) {
    expect_throws<E>(call, {"[stream] " + why, "sequence_stream_errors_test.cpp"});
    const StateDict after = stream.state_dict(state);
    for (size_t i = 0; i < before.size(); ++i) {
      EXPECT_EQ(after[i].second.to(float64).to_vector<double>(),
                before[i].second.to(float64).to_vector<double>());
    }
    EXPECT_EQ(y.to_vector<double>(), std::vector<double>(36));
  };
  ShapeError* const shape = nullptr;
  DTypeError* const dtype = nullptr;
  ValueError* const value = nullptr;
  const auto step = [&](const Tensor& from) {
    return [&stream, &state, &y, from] { stream.step(state, from, y); };
  };
  expect_refused(shape, step(Tensor::zeros({2, 3, 6}, float64)),
                 "x: got (2, 3, 6), wanted (2, 2, 6)");
  expect_refused(shape, step(Tensor::zeros({1, 2, 6}, float64)), "x: got (1, 2, 6)");
  expect_refused(shape, step(Tensor::zeros({2, 2}, float64)),
                 "x: got (2, 2), wanted (2, 2, steps)");
  expect_refused(shape, step(Tensor()), "x: got none");
  expect_refused(shape, step(Tensor::zeros({2, 2, 7}, float64)), "steps: got 7, wanted 1 to 6");
  expect_refused(shape, step(Tensor::zeros({2, 2, 0}, float64)), "steps: got 0");
  expect_refused(dtype, step(Tensor::zeros({2, 2, 6})), "x: got float32, wanted float64");
  // A y that is not as it should be, or is x.
  const auto into = [&](Tensor to) {
    return [&stream, &state, &x, to]() mutable { stream.step(state, x, to); };
  };
  expect_refused(shape, into(Tensor::zeros({2, 3, 6}, float64)),
                 "y: got (2, 3, 6), wanted (2, 6, 3)");
  expect_refused(shape, into(Tensor()), "y: got none");
  expect_refused(dtype, into(Tensor::zeros({2, 6, 3})), "y: got float32, wanted float64");
  Tensor both = Tensor::zeros({72}, float64);
  expect_refused(
      value,
      [&] {
        Tensor to = both.slice(36, 72).view({2, 6, 3});
        stream.step(state, both.slice(0, 24).view({2, 2, 6}), to);
      },
      "y: got the storage of x");
  std::vector<double> plain(60);
  const auto spans = [&](size_t in, size_t at, size_t out) {
    return [&, in, at, out] {
      stream.step(state, std::span(plain).first(in), std::span(plain).subspan(at, out));
    };
  };
  expect_refused(shape, spans(23, 24, 36), "x: got 23 elements, wanted a multiple of 4");
  expect_refused(shape, spans(28, 28, 32), "steps: got 7");
  expect_refused(shape, spans(0, 24, 0), "steps: got 0");
  expect_refused(shape, spans(24, 24, 35), "y: got 35 elements, wanted 36 of (2, 6, 3)");
  expect_refused(value, spans(24, 23, 36), "y: got the memory of x");
  std::vector<float> floats(60);
  expect_refused(
      dtype, [&] { stream.step(state, std::span(floats).first(24), std::span(floats).last(36)); },
      "x: got float32, wanted float64");
  expect_refused(
      value, [&] { stream.reset(state, 2); }, "stream: got 2, wanted 0 to 1");
  expect_refused(
      shape,
      [&] {
        stream.settle(state, Tensor::zeros({2, 3}, float64));
      },
      "x: got (2, 3), wanted (2, 2)");
  expect_refused(
      shape, [&] { stream.finish(state, y); }, "y: got (2, 6, 3), wanted (2, 0, 3)");
  expect_refused(
      value, [&] { stream.step_with(state, x, x, y); },
      "condition: got one, wanted none: the model takes none");
  // States of other streams, or of none.
  StreamState none;
  expect_refused(
      value, [&] { stream.step(none, x, y); }, "state: got one of no stream");
  const SequenceStream wider(model, {.batch = 3, .block = 6});
  StreamState foreign = wider.zeros();
  expect_refused(
      value, [&] { stream.step(foreign, x, y); }, "state: got one of another model");
  for (Device device : available_devices()) {
    if (device != cpu) {
      DeviceError* const devices = nullptr;
      expect_refused(devices, step(x.to(device)), "x: got cuda:0, wanted cpu");
    }
  }
  // Another model's weights for the state's shape are welcome.
  TCN twin(small());
  SequenceStream(twin, {.batch = 2, .block = 6}).step(state, x, y);
}

TEST(SequenceStreamErrors, SayWhichConditionTheyWant) {
  TCN::Options options = small();
  options.net.block.condition_channels = 3;
  TCN model(options);
  const SequenceStream stream(model, {.batch = 2, .block = 6});
  StreamState state = stream.zeros();
  const Tensor x = noise({2, 2, 4}, float64);
  const Tensor steady = noise({2, 2}, float64);
  Tensor y = Tensor::zeros({2, 4, 3}, float64);
  const std::vector<double> in(16);
  std::vector<double> out(24);
  for (const std::function<void()>& call : std::vector<std::function<void()>>{
           [&] { stream.step(state, x, y); }, [&] { stream.step(state, x); },
           [&] { stream.step(state, in, out); }, [&] { stream.settle(state, steady); },
           [&] { stream.steady(steady); }, [&] { stream.step_with(state, x, Tensor(), y); }}) {
    expect_throws<ValueError>(call, {"[stream] condition: got none, wanted (2, 3)"});
  }
  for (const Shape& shape : {Shape{2, 2}, Shape{2, 3, 5}, Shape{1, 3}, Shape{2, 2, 4}, Shape{3}}) {
    expect_throws<ShapeError>([&] { stream.step_with(state, x, Tensor::zeros(shape, float64), y); },
                              {"[stream] condition: got " + shape.to_string() + ", wanted (2, 3"});
  }
  expect_throws<ShapeError>(
      [&] {
        stream.settle_with(state, steady, Tensor::zeros({2, 3, 1}, float64));
      },
      {"[stream] condition: got (2, 3, 1), wanted (2, 3)"});
  expect_throws<DTypeError>(
      [&] {
        stream.step_with(state, x, Tensor::zeros({2, 3}), y);
      },
      {"[stream] condition: got float32, wanted float64"});
  Tensor both = Tensor::zeros({48}, float64);
  Tensor to = both.slice(24, 48).view({2, 4, 3});
  expect_throws<ValueError>(
      [&] {
        stream.step_with(state, x, both.slice(0, 24).view({2, 3, 4}), to);
      },
      {"[stream] y: got the storage of condition"});
  EXPECT_EQ(stream.state_dict(state)[0].second.to_vector<int64_t>(), (std::vector<int64_t>{0, 0}));
}

TEST(SequenceStreamErrors, SayWhatASavedStateLacks) {
  TCN model(small());
  const SequenceStream stream(model);
  StreamState state = stream.zeros();
  stream.step(state, Tensor::ones({1, 2, 9}, float64));
  const StateDict saved = stream.state_dict(state);
  const auto expect_refused = [&](const StateDict& dict, const std::string& why) {
    expect_throws<ValueError>([&] { stream.load_state_dict(state, dict); }, {"[stream] " + why});
    EXPECT_EQ(stream.state_dict(state)[1].second.to_vector<double>(),
              saved[1].second.to_vector<double>());
  };
  StateDict dict = saved;
  dict.pop_back();
  expect_refused(dict, saved.back().first + ": got none among " + std::to_string(dict.size()));
  dict = saved;
  dict[1].second = Tensor::zeros({1, 2, 7}, float64);
  expect_refused(dict, "history.0: got (1, 2, 7) of float64, wanted (1, 2, 2) of float64");
  dict = saved;
  dict[0].second = tensor<int64_t>({-1}, {1});
  expect_refused(dict, "steps: got less than 0");
}

struct Doubled : TCN {
  using TCN::TCN;
  Tensor forward(const Operand& x) override { return TCN::forward(x) * 2.0; }
};

TEST(SequenceStreamErrors, RefuseWhatHasNoStages) {
  const auto expect_refused = [&]<class E>(E*, Module&& model, const std::string& why) {
    expect_throws<E>([&] { SequenceStream stream(model); },
                     {"[stream] " + why, "sequence_stream_errors_test.cpp"});
  };
  ValueError* const value = nullptr;
  const auto conv = [](int64_t stride, Padding1d padding) {
    return Conv1d({.in_channels = 2,
                   .out_channels = 2,
                   .kernel_size = 3,
                   .stride = stride,
                   .padding = padding,
                   .dilation = 2});
  };
  expect_refused(value, conv(1, 0),
                 "model: padding: got (0,), wanted causal, same, or 4 zeros in all");
  expect_refused(value, conv(1, Sides1d{.left = 4, .right = 1}), "model: padding: got ((4, 1),)");
  expect_refused(value, Sequential(conv(1, 2), conv(2, 5)),
                 "1: padding: got (5,), wanted causal, or 3 to 4 zeros in all, so that there is an "
                 "output for every 2 elements");
  expect_refused(value, conv(3, 0), "model: padding: got (0,), wanted causal, or 2 to 4 zeros");
  expect_refused(value, wider(2, 2, 4, 2, 0),
                 "model: padding: got (0,), wanted 2 in all, so that there are 2 outputs for every "
                 "element");
  expect_refused(value, narrower(2, 2, 65, 65, 0),
                 "block: got 64, wanted 65 or more: the model gives an output for so many steps");
  expect_refused(value, Sequential(conv(1, 2), Linear(2, 2)), "1: got a Linear, wanted a TCN");
  expect_refused(value, Doubled(small()), "model: got a TCN, wanted");
  expect_refused(value, Sequential(ReLU(), conv(1, 2)), "0: got a ReLU in front");
  expect_refused(
      value, Sequential(conv(1, 2), BatchNorm1d({.num_features = 2, .track_running_stats = false})),
      "1: track_running_stats: got False, wanted True");
  expect_refused(value, Sequential(conv(1, 2), LayerNorm(7)), "1: got a LayerNorm, wanted a TCN");
  expect_refused(value, Sequential(Dropout()), "model: got one without layers that compute");
  ShapeError* const shape = nullptr;
  expect_refused(shape,
                 Sequential(conv(1, 2), TemporalBlock({.in_channels = 3, .out_channels = 2})),
                 "1.conv1: got 2 channels, wanted 3");
  DTypeError* const dtype = nullptr;
  TCN mixed(small(float32));
  set_precision(mixed, bfloat16);
  expect_refused(dtype, std::move(mixed),
                 "tcn.network.0.conv1: got a layer that computes in bfloat16");
  TCN model(small());
  expect_throws<ValueError>([&] { SequenceStream(model, {.batch = 0}); },
                            {"[stream] batch: got 0, wanted 1 to 65535"});
  expect_throws<ValueError>([&] { SequenceStream(model, {.block = 4097}); },
                            {"[stream] block: got 4097, wanted 1 to 4096"});
}

}  // namespace
}  // namespace warptape
