#include "core/tape.h"

#include <gtest/gtest.h>

#include "core/primitives.h"
#include "kernels/ops.h"

namespace warptape {
namespace {

using Values = std::vector<float>;

Parameter parameter(const Values& values) {
  return Parameter(tensor(values, {static_cast<int64_t>(values.size())}));
}

Values grad_of(const Parameter& parameter) {
  return parameter.grad().defined() ? parameter.grad().to_vector<float>() : Values{};
}

TEST(Tape, WithoutOneNothingIsRecorded) {
  const Parameter a = parameter({1, 2});
  EXPECT_EQ(mul(a, a).tape_handle().tape, 0U);
  EXPECT_EQ(Tape::recording({}), nullptr);
}

TEST(Tape, OpsOnConstantsAreNotRecorded) {
  const Tape tape;
  const Tensor x = tensor<float>({1, 2}, {2});
  EXPECT_EQ(mul(x, x).tape_handle().tape, 0U);
  EXPECT_EQ(tape.num_records(), 0U);
}

TEST(Tape, IdsStartAtOneAndAreNeverReused) {
  const uint64_t first = Tape().id();
  EXPECT_GE(first, 1U);
  EXPECT_GT(Tape().id(), first);
}

TEST(Tape, GradientsOfACompositionAreTheHandComputedOnes) {
  const Parameter a = parameter({1, 2});
  const Parameter b = parameter({3, 4});
  Tape tape;
  const Tensor y = add(mul(a, b), a);  // 4, 10
  const Tensor loss = sum(mul(y, y));
  EXPECT_EQ(loss.item(), 116);
  tape.backward(loss);
  EXPECT_EQ(grad_of(a), (Values{32, 100}));  // 2 y (b + 1)
  EXPECT_EQ(grad_of(b), (Values{8, 40}));    // 2 y a
}

TEST(Tape, BranchesThatMeetAgainAdd) {
  Tape tape;
  Tensor x = tensor<float>({2, 3}, {2});
  tape.watch(x);
  const Tensor square = mul(x, x);
  tape.backward(sum(add(mul(square, x), square)));                   // x^3 + x^2
  EXPECT_EQ(tape.gradient(x).to_vector<float>(), (Values{16, 33}));  // 3 x^2 + 2 x
}

TEST(Tape, EmptyGradientsAreWrittenAndOthersAddedTo) {
  Parameter a = parameter({1, 2});
  for (float micro_batch : {1.0F, 10.0F}) {
    Tape tape;
    tape.backward(sum(mul(a, tensor<float>({micro_batch, 2 * micro_batch}, {2}))));
  }
  EXPECT_EQ(grad_of(a), (Values{11, 22}));
  a.zero_grad();
  Tape tape;
  tape.backward(sum(mul(a, tensor<float>({3, 4}, {2}))));
  EXPECT_EQ(grad_of(a), (Values{3, 4}));
}

TEST(Tape, GradientBuffersKeepTheirAddress) {
  Parameter a = parameter({1, 2});
  const void* address = nullptr;
  for (int step = 0; step < 3; ++step) {
    a.zero_grad();
    Tape tape;
    tape.backward(sum(mul(a, a)));
    const void* found = a.grad().raw_data();
    EXPECT_EQ(found, address == nullptr ? found : address);
    address = found;
  }
}

TEST(Tape, AParameterUsedTwiceHasOneSlot) {
  const Parameter a = parameter({3, 5});
  Tape tape;
  const Tensor loss = sum(add(mul(a, a), a));
  const std::string dot = tape.dot();
  EXPECT_EQ(dot.find("parameter"), dot.rfind("parameter"));
  tape.backward(loss);
  EXPECT_EQ(grad_of(a), (Values{7, 11}));
}

TEST(Tape, TiedParametersShareOneGradient) {
  const Parameter a = parameter({3});
  Parameter b;
  b.tie(a);
  Tape tape;
  tape.backward(sum(mul(a, b)));
  EXPECT_EQ(grad_of(a), (Values{6}));
  EXPECT_EQ(grad_of(b), (Values{6}));
}

TEST(Tape, WatchedTensorsAreLeaves) {
  Tape tape;
  Tensor x = tensor<float>({1, 2}, {2});
  Tensor unused = tensor<float>({1, 2}, {2});
  tape.watch(x);
  tape.watch(unused);
  tape.backward(sum(mul(x, x)));
  EXPECT_EQ(tape.gradient(x).to_vector<float>(), (Values{2, 4}));
  EXPECT_FALSE(tape.gradient(unused).defined());
}

TEST(Tape, GradientsHaveTheFormatOfWhatTheyBelongTo) {
  Tape tape;
  Tensor x = Tensor::empty({1, 2, 2, 2}, float32, cpu, MemoryFormat::ChannelsLast);
  primitives::copy(tensor<float>({0, 1, 2, 3, 4, 5, 6, 7}, {1, 2, 2, 2}), x);
  tape.watch(x);
  const Tensor weight = tensor<float>({1, 2, 3, 4, 5, 6, 7, 8}, {8});
  tape.backward(sum(mul(reshape(x, {8}), weight)));
  EXPECT_EQ(tape.gradient(x).memory_format(), MemoryFormat::ChannelsLast);
  EXPECT_EQ(tape.gradient(x).to_vector<float>(), weight.to_vector<float>());
}

TEST(Tape, SeedsWeighTheElements) {
  const Parameter a = parameter({1, 2});
  Tape tape;
  tape.backward(mul(a, a), tensor<float>({10, 100}, {2}));
  EXPECT_EQ(grad_of(a), (Values{20, 400}));
}

TEST(Tape, SeedsAreLeftUnchanged) {
  const Parameter a = parameter({1, 2});
  const Tensor seed = tensor<float>({10, 100}, {2});
  Tape tape;
  tape.backward(add(reshape(a, {2}), a), seed);
  EXPECT_EQ(seed.to_vector<float>(), (Values{10, 100}));
  EXPECT_EQ(grad_of(a), (Values{20, 200}));
}

TEST(Tape, FrozenParametersGetNoGradient) {
  Parameter a = parameter({1, 2});
  const Parameter b = parameter({3, 4});
  a.set_requires_grad(false);
  Tape tape;
  tape.backward(sum(mul(a, b)));
  EXPECT_FALSE(a.grad().defined());
  EXPECT_FALSE(a.state()->grad.defined());
  EXPECT_EQ(grad_of(b), (Values{1, 2}));
}

TEST(Tape, OpsOnFrozenParametersOnlyAreNotRecorded) {
  Parameter a = parameter({1, 2});
  a.set_requires_grad(false);
  const Tape tape;
  EXPECT_EQ(mul(a, a).tape_handle().tape, 0U);
  EXPECT_EQ(tape.num_records(), 0U);
}

TEST(Tape, BackwardClosesTheTapeAndFreesItsRecords) {
  const Parameter a = parameter({1, 2});
  Tape tape;
  Tensor loss = sum(exp(a));
  EXPECT_EQ(tape.num_records(), 2U);
  EXPECT_FALSE(tape.is_closed());
  tape.backward(loss);
  EXPECT_TRUE(tape.is_closed());
  EXPECT_EQ(tape.num_records(), 0U);
  EXPECT_EQ(mul(a, a).tape_handle().tape, 0U);
}

TEST(Tape, KeepAllowsASecondBackwardWithEqualBits) {
  Parameter a = parameter({0.3F, -1.7F});
  Tape tape;
  Tensor x = tensor<float>({0.7F, 0.1F}, {2});
  tape.watch(x);
  const Tensor loss = sum(mul(exp(mul(a, x)), x));
  tape.backward(loss, {.keep = true});
  EXPECT_FALSE(tape.is_closed());
  const Values first_a = grad_of(a);
  const Values first_x = tape.gradient(x).to_vector<float>();
  a.zero_grad();
  tape.backward(loss);
  EXPECT_EQ(grad_of(a), first_a);
  EXPECT_EQ(tape.gradient(x).to_vector<float>(), first_x);
  EXPECT_TRUE(tape.is_closed());
}

TEST(Tape, BackwardOfTwoLossesOnOneKeptTapeAdds) {
  const Parameter a = parameter({2});
  Tape tape;
  const Tensor square = mul(a, a);
  const Tensor cube = mul(square, a);
  tape.backward(square, {.keep = true});
  EXPECT_EQ(grad_of(a), (Values{4}));
  tape.backward(cube);
  EXPECT_EQ(grad_of(a), (Values{4 + 12}));
}

TEST(Tape, TheInnermostOneRecords) {
  const Parameter a = parameter({2});
  Tape outer;
  const Tensor y = mul(a, a);
  {
    Tape inner;
    inner.backward(mul(a, tensor<float>({5}, {1})));
    EXPECT_EQ(grad_of(a), (Values{5}));
  }
  EXPECT_EQ(outer.num_records(), 1U);
  outer.backward(mul(y, a));
  EXPECT_EQ(grad_of(a), (Values{5 + 12}));
}

TEST(Tape, DetachedTensorsOfAnOuterTapeAreConstants) {
  const Parameter a = parameter({2});
  const Tape outer;
  const Tensor y = mul(a, a);
  Tape inner;
  inner.backward(mul(y.detach(), a));
  EXPECT_EQ(grad_of(a), (Values{4}));
}

TEST(Tape, DotShowsOpsPlacesParametersAndShapes) {
  const Parameter a = parameter({1, 2});
  Tape tape;
  Tensor x = tensor<float>({1, 2}, {2});
  tape.watch(x);
  const int line = __LINE__ + 1;
  const Tensor y = mul(a, x);
  const Tensor loss = sum(y);
  const std::string dot = tape.dot();
  EXPECT_EQ(dot.rfind("digraph", 0), 0U);
  for (const std::string& part :
       {std::string("mul\\ntape_test.cpp:") + std::to_string(line),
        std::string("sum\\ntape_test.cpp:") + std::to_string(line + 1),
        std::string("parameter (2,)"), std::string("leaf (2,)"), std::string("->")}) {
    EXPECT_NE(dot.find(part), std::string::npos) << part << " is not in\n" << dot;
  }
}

TEST(Tape, GradientsOfALeafItselfAreTheSeed) {
  Tape tape;
  Tensor x = tensor<float>({4}, {1});
  tape.watch(x);
  tape.backward(x);
  EXPECT_EQ(tape.gradient(x).to_vector<float>(), (Values{1}));
}

TEST(Tape, TheSameTensorAsBothInputsOfAnOp) {
  const Tensor square = tensor<float>({1, 2, 3, 4}, {2, 2});
  Tape tape;
  Tensor x = square.clone();
  tape.watch(x);
  tape.backward(sum(add(matmul(x, x), linear(x, x))));
  // d sum(x x) = 1 x^T + x^T 1 and d sum(x x^T) = 2 (column sums), all elements 1.
  EXPECT_EQ(tape.gradient(x).to_vector<float>(),
            (Values{(3 + 4) + 8, (7 + 4) + 12, (3 + 6) + 8, (7 + 6) + 12}));
}

}  // namespace
}  // namespace warptape
