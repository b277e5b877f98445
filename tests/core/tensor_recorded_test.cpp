// What core itself records: slice, view, clone and to, of tensors on a tape and of the values of
// parameters; and what becomes of a tensor that was cut off.

#include <gtest/gtest.h>

#include <fmt/format.h>
#include <functional>

#include "core/primitives.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/linear.h"
#include "layers/weight_norm.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

using Values = std::vector<double>;

Tensor of(const Values& values) {
  return tensor(values, {static_cast<int64_t>(values.size())});
}

Values values_of(const Tensor& x) {
  return x.defined() ? x.to(cpu).to(float64).to_vector<double>() : Values{};
}

std::vector<Device> devices() {
  return is_available(DeviceType::CUDA) ? std::vector<Device>{cpu, {DeviceType::CUDA, 0}}
                                        : std::vector<Device>{cpu};
}

// The gradient of sum(w * f(x)^2) at x, by the tape and by central differences.
void check_gradient(const char* name, const Tensor& start,
                    const std::function<Tensor(const Tensor&)>& f) {
  SCOPED_TRACE(name);
  const auto loss = [&](const Tensor& x) {
    const Tensor y = f(x).to(cpu).to(float64);
    Values weights(static_cast<size_t>(y.numel()));
    for (size_t i = 0; i < weights.size(); ++i) {
      weights[i] = 0.5 + 0.25 * static_cast<double>(i);
    }
    return sum(mul(mul(y, y), tensor(weights, y.shape())));
  };
  Tape tape;
  Tensor x = start.clone();
  tape.watch(x);
  tape.backward(loss(x));
  ASSERT_TRUE(tape.gradient(x).defined());
  EXPECT_EQ(tape.gradient(x).memory_format(), start.memory_format());
  EXPECT_EQ(tape.gradient(x).device(), start.device());
  EXPECT_EQ(tape.gradient(x).dtype(), start.dtype());
  const Values found = values_of(tape.gradient(x));
  const Values at = values_of(start);
  for (size_t i = 0; i < at.size(); ++i) {
    constexpr double step = 1e-5;
    double ends[2];
    for (int side = 0; side < 2; ++side) {
      Values moved = at;
      moved[i] += side == 0 ? -step : step;
      ends[side] =
          loss(tensor(moved, start.shape()).to(start.memory_format()).to(start.device())).item();
    }
    const double wanted = (ends[1] - ends[0]) / (2 * step);
    EXPECT_NEAR(found[i], wanted, 1e-6 * std::max(1.0, std::abs(wanted))) << "element " << i;
  }
}

TEST(RecordedTensors, GradientsOfEachAreThoseOfFiniteDifferences) {
  for (const Device device : devices()) {
    SCOPED_TRACE(to_string(device));
    const Tensor x = tensor<double>({1, -2, 3, 0.5, -1.5, 2}, {3, 2}).to(device);
    check_gradient("slice", x, [](const Tensor& t) { return t.slice(1, 3); });
    check_gradient("slice of nothing", x,
                   [](const Tensor& t) { return add(sum(t.slice(1, 1)), sum(t)); });
    check_gradient("slices that overlap", x,
                   [](const Tensor& t) { return mul(t.slice(0, 2), t.slice(1, 3)); });
    check_gradient("slice of a slice", x,
                   [](const Tensor& t) { return t.slice(1, 3).slice(1, 2); });
    check_gradient("view", x, [](const Tensor& t) { return t.view({2, 3}); });
    check_gradient("view of a slice", x, [](const Tensor& t) { return t.slice(0, 2).view({4}); });
    check_gradient("clone", x, [](const Tensor& t) { return t.clone(); });
    check_gradient("to where it is", x, [&](const Tensor& t) { return t.to(device); });
    for (const Device other : devices()) {
      check_gradient("to a device", x, [&](const Tensor& t) { return mul(t.to(other), 2); });
    }
    const Tensor images =
        tensor<double>({1, 2, 3, 4, 5, 6, 7, 8}, {2, 2, 2, 1}).to(MemoryFormat::ChannelsLast);
    for (const MemoryFormat format : {MemoryFormat::RowMajor, MemoryFormat::ChannelsLast}) {
      check_gradient("to a format", images.to(device),
                     [&](const Tensor& t) { return exp(mul(t.to(format), 0.1)); });
    }
    // (N, C, L) as (N, C, 1, L) and back.
    const Tensor lines = tensor<double>({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {2, 2, 3});
    for (const MemoryFormat format : {MemoryFormat::RowMajor, MemoryFormat::ChannelsLast}) {
      check_gradient("view of lines as images", lines.to(format).to(device), [](const Tensor& t) {
        return t.view({2, 2, 1, 3});
      });
      check_gradient("view of images as lines", lines.view({2, 2, 1, 3}).to(format).to(device),
                     [](const Tensor& t) {
                       return mul(t.view({2, 2, 3}), 2);
                     });
    }
    check_gradient("slice of channels-last", images.to(device),
                   [](const Tensor& t) { return t.slice(1, 2); });
  }
}

// Lines of pixels as images of one line, which a convolution takes, without a copy.
TEST(RecordedTensors, LinesAreViewedAsImagesInEitherFormat) {
  for (const Device device : devices()) {
    const Tensor logical = tensor<float>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {2, 3, 2});
    for (const MemoryFormat format : {MemoryFormat::RowMajor, MemoryFormat::ChannelsLast}) {
      SCOPED_TRACE(fmt::format("{} on {}", to_string(format), to_string(device)));
      const Tensor lines = logical.to(format).to(device);
      const Tensor images = lines.view({2, 3, 1, 2});
      EXPECT_EQ(images.memory_format(), format);
      EXPECT_EQ(images.raw_data(), lines.raw_data());
      EXPECT_EQ(images.to_vector<float>(), logical.to_vector<float>());
      const Tensor back = images.view({2, 3, 2});
      EXPECT_EQ(back.memory_format(), format);
      EXPECT_EQ(back.raw_data(), lines.raw_data());
      EXPECT_EQ(back.to_vector<float>(), logical.to_vector<float>());
      const Tensor second = images.slice(1, 2).view({1, 3, 2});
      EXPECT_EQ(second.to_vector<float>(), (std::vector<float>{6, 7, 8, 9, 10, 11}));
      EXPECT_TRUE(second.shares_storage_with(lines));
    }
  }
}

// What lies in memory as (N, L, C) is not (N, C, L) of other sizes.
TEST(RecordedTensors, ViewsOfChannelsLastKeepBatchAndChannels) {
  const Tensor lines = Tensor::zeros({2, 3, 4}).to(MemoryFormat::ChannelsLast);
  EXPECT_EQ(lines.view({2, 3, 2, 2}).memory_format(), MemoryFormat::ChannelsLast);
  for (const Shape& shape : {Shape{24}, Shape{6, 4}, Shape{2, 12}, Shape{3, 2, 4}, Shape{2, 4, 3},
                             Shape{2, 1, 3, 4}, Shape{1, 3, 8}}) {
    expect_throws<ShapeError>(
        [&] { (void)lines.view(shape); },
        {"[view] memory format: got channels_last, wanted row_major for shape " + shape.to_string(),
         "not (2, 3, ...)", "tensor_recorded_test.cpp"});
  }
}

TEST(RecordedTensors, GradientsPassThroughCasts) {
  Tape tape;
  Tensor x = tensor<float>({1.5F, -2}, {2});
  tape.watch(x);
  const Tensor wide = x.to(float64);
  EXPECT_EQ(wide.dtype(), float64);
  tape.backward(sum(mul(wide, wide)));
  EXPECT_EQ(tape.gradient(x).dtype(), float32);
  EXPECT_EQ(values_of(tape.gradient(x)), (Values{3, -4}));
}

TEST(RecordedTensors, IntegersAreConstants) {
  Tape tape;
  Tensor x = of({1.5, 2});
  tape.watch(x);
  EXPECT_EQ(x.to(int64).tape_handle().tape, 0U);
  EXPECT_EQ(x.to(int64).to_vector<int64_t>(), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(tape.num_records(), 0U);
}

TEST(RecordedTensors, WithoutATapeOrOfConstantsNothingIs) {
  const Parameter p(of({1, 2}));
  EXPECT_EQ(p.value().slice(0, 1).tape_handle().tape, 0U);
  const Tape tape;
  const Tensor x = of({1, 2});
  for (const Tensor& y : {x.slice(0, 1), x.view({2, 1}), x.clone(), x.to(float32), x.to(cpu)}) {
    EXPECT_EQ(y.tape_handle().tape, 0U);
  }
  EXPECT_EQ(tape.num_records(), 0U);
}

TEST(RecordedTensors, ValuesOfParametersAreTheParameters) {
  const Parameter p(of({1, 2, 3}));
  const auto gradient_of = [&](const std::function<Tensor()>& f) {
    p.state()->grad_is_empty = true;
    Tape tape;
    tape.backward(sum(f()));
    return values_of(p.grad());
  };
  EXPECT_EQ(gradient_of([&] { return mul(p.value(), p.value()); }), (Values{2, 4, 6}));
  EXPECT_EQ(gradient_of([&] { return mul(p.value().slice(1, 2), 5); }), (Values{0, 5, 0}));
  EXPECT_EQ(gradient_of([&] { return mul(p.value().view({3, 1}), 2); }), (Values{2, 2, 2}));
  EXPECT_EQ(gradient_of([&] { return mul(p.value().clone(), 3); }), (Values{3, 3, 3}));
  EXPECT_EQ(gradient_of([&] { return p.value().to(float32); }), (Values{1, 1, 1}));
  EXPECT_EQ(gradient_of([&] { return mul(Operand(p).tensor(), 4); }), (Values{4, 4, 4}));
  EXPECT_EQ(gradient_of([&] { return mul(Operand(p).slice(0, 1), 4); }), (Values{4, 0, 0}));
  const Tensor kept = p.value();
  EXPECT_EQ(gradient_of([&] { return mul(kept, 7); }), (Values{7, 7, 7}));
  EXPECT_EQ(gradient_of([&] { return add(mul(p.value().detach(), 7), p); }), (Values{1, 1, 1}));
}

TEST(RecordedTensors, ValuesOfWeightsAreRecorded) {
  Linear plain({.in_features = 2, .out_features = 1, .dtype = float64});
  Linear normed({.in_features = 2, .out_features = 1, .dtype = float64});
  weight_norm(normed);
  for (Linear* layer : {&plain, &normed}) {
    Tape tape;
    const Tensor w = layer->weight.value();
    tape.backward(sum(mul(w, w)));
    EXPECT_TRUE(named_parameters(*layer)[0].parameter->grad().defined());
  }
}

TEST(RecordedTensors, FrozenOrFormerValuesAreConstants) {
  Parameter frozen(of({1}));
  frozen.set_requires_grad(false);
  Tensor orphan;
  {
    const Parameter short_lived(of({2}));
    orphan = short_lived.value();
  }
  Parameter moved(of({3}));
  const Tensor former = moved.value();
  moved.state()->set_value(of({4}));
  const Tape tape;
  for (const Tensor& x : {frozen.value(), orphan, former}) {
    EXPECT_EQ(mul(x, x).tape_handle().tape, 0U);
  }
}

TEST(RecordedTensors, CopiesOfParametersAndModulesAreNotRecorded) {
  Linear layer(2, 3);
  Parameter p(of({1}));
  const Tape tape;
  const Linear copy = layer;
  const Parameter other = p;
  p.assign(of({2}));
  layer.to(cpu);
  weight_norm(layer);
  remove_weight_norm(layer);
  EXPECT_EQ(tape.num_records(), 1U) << "the weight that remove_weight_norm computes";
}

TEST(RecordedTensors, ErrorsNameTheCallersLine) {
  const Tensor x = of({1, 2});
  const int line = __LINE__ + 1;
  expect_throws<ShapeError>([&] { (void)x.slice(0, 3); },
                            {"[slice]", "tensor_recorded_test.cpp:" + std::to_string(line)});
  expect_throws<ShapeError>([&] { (void)x.view({3}); }, {"[view]", "tensor_recorded_test.cpp"});
  const Tensor undefined;
  expect_throws<Error>([&] { (void)undefined.clone(); }, {"[clone]", "undefined", "(at "});
  expect_throws<Error>([&] { (void)undefined.to(cpu); }, {"[to]", "undefined", "(at "});
  expect_throws<Error>([&] { (void)undefined.to(float64); }, {"[to]", "undefined"});
  expect_throws<Error>([&] { (void)undefined.to(MemoryFormat::RowMajor); }, {"undefined"});
  expect_throws<Error>([&] { (void)undefined.view({}); }, {"[view]", "undefined"});
  expect_throws<Error>([&] { (void)undefined.slice(0, 0); }, {"[slice]", "undefined"});
}

TEST(CutTensors, BackwardOfOneSaysWhatCutIt) {
  const Parameter p(of({3}));
  Tape tape;
  const Tensor y = mul(p, p);
  expect_throws<TapeError>([&] { tape.backward(y.detach()); },
                           {"[backward]", "detach() cut off from this tape", "_test.cpp"});
  expect_throws<TapeError>([&] { tape.backward(primitives::cast(y, float32)); },
                           {"primitives::cast cut off"});
  expect_throws<TapeError>([&] { tape.gradients(y.detach(), {p}); }, {"[gradients]", "detach()"});
  expect_throws<TapeError>([&] { tape.gradients(y, {y.detach()}); }, {"[gradients] x 0"});
  EXPECT_NO_THROW(tape.backward(y));
}

TEST(CutTensors, BackwardOfWhatWasMadeOfOneSaysWhereItWasTaken) {
  const Parameter p(of({3}));
  Tape tape;
  const Tensor y = mul(p, p);
  const int line = __LINE__ + 1;
  const Tensor loss = exp(y.detach());
  expect_throws<TapeError>(
      [&] { tape.backward(loss); },
      {"does not depend", "detach() cut off", "tensor_recorded_test.cpp:" + std::to_string(line)});
  EXPECT_EQ(loss.tape_handle().tape, 0U);
}

TEST(CutTensors, WhatIsNotRecordedIsRefusedByBackward) {
  const Parameter p(of({3, 4}));
  const auto loss_of = [&](const std::function<Tensor(const Tensor&)>& cut) {
    Tape tape;
    const Tensor y = mul(p, p);
    tape.backward(sum(mul(cut(y), p)));
  };
  expect_throws<TapeError>(
      [&] { loss_of([](const Tensor& y) { return primitives::cast(y, float64); }); },
      {"mul took a tensor that primitives::cast cut off", "_test.cpp"});
  expect_throws<TapeError>(
      [&] {
        loss_of([](const Tensor& y) { return primitives::relayout(y, MemoryFormat::RowMajor); });
      },
      {"primitives::relayout cut off"});
  expect_throws<TapeError>([&] { loss_of([](const Tensor& y) { return norm_except_dim(y); }); },
                           {"norm_except_dim cut off"});
  EXPECT_FALSE(p.grad().defined());
  EXPECT_NO_THROW(loss_of([](const Tensor& y) { return y.detach(); }));
}

TEST(CutTensors, OfADeadOrClosedTapeAreRefusedByBackward) {
  const Parameter p(of({3}));
  Tensor of_dead;
  Tensor of_closed;
  {
    const Tape dead;
    of_dead = mul(p, p);
  }
  {
    Tape closed;
    of_closed = mul(p, p);
    closed.backward(of_closed);
  }
  const Values before = values_of(p.grad());
  for (const Tensor& y : {of_dead, of_closed}) {
    const std::string gone = "was recorded by a tape that is closed or gone";
    Tape tape;
    expect_throws<TapeError>([&] { tape.backward(y); }, {gone});
    const int line = __LINE__ + 1;
    const Tensor z = mul(y, p);
    const std::string here = "tensor_recorded_test.cpp:" + std::to_string(line);
    expect_throws<TapeError>([&] { tape.backward(z); }, {"mul took", gone, "detach()", here});
    expect_throws<TapeError>([&] { tape.gradients(z, {p}); }, {"mul took", gone});
    expect_throws<TapeError>([&] { tape.backward(exp(y)); }, {"exp took", gone});
    EXPECT_EQ(values_of(p.grad()), before) << "half a backward";
    EXPECT_FALSE(tape.is_closed());
    tape.backward(mul(p, 2));  // what took none of them is as good as ever
    p.state()->grad_is_empty = true;
    Tape other;
    other.backward(mul(y.detach(), p));
    EXPECT_EQ(values_of(p.grad()), (Values{9}));
    p.state()->grad = of(before);
    p.state()->grad_is_empty = before.empty();
  }
}

TEST(CutTensors, WatchedByADeadTapeAreConstants) {
  const Parameter p(of({3}));
  Tensor x = of({5});
  {
    Tape dead;
    dead.watch(x);
  }
  Tape tape;
  tape.backward(mul(x, p));
  EXPECT_EQ(values_of(p.grad()), (Values{5}));
}

TEST(CutTensors, WithoutATapeAreConstants) {
  const Parameter p(of({3}));
  Tensor y;
  {
    const Tape dead;
    y = mul(p, p);
  }
  EXPECT_EQ(mul(y, y).item(), 81);
  EXPECT_EQ(mul(y, y).tape_handle().tape, 0U);
}

}  // namespace
}  // namespace warptape
