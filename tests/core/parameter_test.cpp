#include "core/parameter.h"

#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

Parameter two(float a, float b) {
  return Parameter(tensor<float>({a, b}, {2}));
}

void set_grad(Parameter& parameter, double value) {
  parameter.state()->grad = Tensor::full(parameter.value().shape(), value);
  parameter.state()->grad_is_empty = false;
}

TEST(Parameters, StartWithoutGradientAndRequireOne) {
  const Parameter parameter = two(1, 2);
  EXPECT_TRUE(parameter.defined());
  EXPECT_TRUE(parameter.requires_grad());
  EXPECT_FALSE(parameter.grad().defined());
  EXPECT_FALSE(Parameter().defined());
}

TEST(Parameters, HoldTheirTensorAsAConstant) {
  Tensor value = Tensor::zeros({2});
  value.set_tape_handle({3, 4});
  EXPECT_EQ(Parameter(value).value().tape_handle().tape, 0U);
}

TEST(Parameters, CopiesAreDeep) {
  Parameter original = two(1, 2);
  original.set_requires_grad(false);
  set_grad(original, 5);
  Parameter copy = original;
  EXPECT_NE(copy.state(), original.state());
  EXPECT_FALSE(copy.value().shares_storage_with(original.value()));
  EXPECT_FALSE(copy.requires_grad());
  EXPECT_FALSE(copy.grad().defined());
  original.assign(tensor<float>({7, 8}, {2}));
  original.set_requires_grad(true);
  EXPECT_EQ(copy.value().to_vector<float>(), (std::vector<float>{1, 2}));
  EXPECT_FALSE(copy.requires_grad());
}

TEST(Parameters, CopyAssignmentCopiesTheElementsIntoTheSameParameter) {
  const Parameter original = two(1, 2);
  Parameter target = two(3, 4);
  target.set_requires_grad(false);
  Parameter tied;
  tied.tie(target);
  const auto state = target.state();
  const void* data = target.value().raw_data();
  const uint64_t version = target.value().version();
  target = original;
  EXPECT_EQ(target.state(), state);
  EXPECT_EQ(target.value().raw_data(), data);
  EXPECT_GT(target.value().version(), version);
  EXPECT_EQ(tied.value().to_vector<float>(), (std::vector<float>{1, 2}));
  EXPECT_FALSE(target.requires_grad());
  const Parameter& alias = target;
  target = alias;
  tied = target;
  EXPECT_EQ(tied.state(), state);
  EXPECT_EQ(target.value().to_vector<float>(), (std::vector<float>{1, 2}));
}

TEST(Parameters, CopyAssignmentOfWhatDoesNotFitMakesANewParameter) {
  for (const Parameter& other :
       {Parameter(Tensor::ones({3})), Parameter(Tensor::ones({2}, float64)), Parameter()}) {
    Parameter target = two(3, 4);
    const auto state = target.state();
    target = other;
    EXPECT_NE(target.state(), state);
    EXPECT_NE(target.state(), other.state());
    ASSERT_EQ(target.defined(), other.defined());
    if (other.defined()) {
      EXPECT_EQ(target.value().shape(), other.value().shape());
    }
    EXPECT_EQ(state->value.to_vector<float>(), (std::vector<float>{3, 4}));
  }
  Parameter target;
  target = two(1, 2);
  EXPECT_EQ(target.value().to_vector<float>(), (std::vector<float>{1, 2}));
}

TEST(Parameters, OnesThatWereMovedFromAreUndefined) {
  Parameter from = two(1, 2);
  const Parameter to = std::move(from);
  EXPECT_FALSE(from.defined());
  EXPECT_FALSE(from.value().defined());
  EXPECT_FALSE(from.grad().defined());
  EXPECT_FALSE(from.requires_grad());
  from.zero_grad();
  from.set_requires_grad(true);
  expect_throws<ValueError>([&] { from.assign(Tensor::ones({2})); }, {"[assign]", "undefined"});
  EXPECT_FALSE(Parameter(from).defined());
  from = to;
  EXPECT_EQ(from.value().to_vector<float>(), (std::vector<float>{1, 2}));
}

TEST(Parameters, TiesOfWhatDiffersAreErrors) {
  Parameter parameter = two(1, 2);
  const auto state = parameter.state();
  const int line = __LINE__ + 1;
  const auto tie_longer = [&] { parameter.tie(Parameter(Tensor::ones({3}))); };
  expect_throws<ShapeError>(tie_longer, {"[tie] shape: got (3,), wanted (2,)",
                                         "parameter_test.cpp:" + std::to_string(line)});
  expect_throws<DTypeError>([&] { parameter.tie(Parameter(Tensor::ones({2}, float64))); },
                            {"[tie] dtype: got float64, wanted float32"});
  EXPECT_EQ(parameter.state(), state);
}

TEST(Parameters, MovingKeepsTheState) {
  Parameter original = two(1, 2);
  const auto state = original.state();
  Parameter moved = std::move(original);
  EXPECT_EQ(moved.state(), state);
  Parameter assigned;
  assigned = std::move(moved);
  EXPECT_EQ(assigned.state(), state);
}

TEST(Parameters, TiedOnesAreOne) {
  Parameter first = two(1, 2);
  Parameter second = two(3, 4);
  second.tie(first);
  EXPECT_EQ(second.state(), first.state());
  second.assign(tensor<float>({5, 6}, {2}));
  EXPECT_EQ(first.value().to_vector<float>(), (std::vector<float>{5, 6}));
  set_grad(first, 9);
  EXPECT_EQ(second.grad().to_vector<float>(), (std::vector<float>{9, 9}));
}

TEST(Parameters, AssignCopiesTheElementsInPlace) {
  Parameter parameter = two(1, 2);
  const void* data = parameter.value().raw_data();
  const uint64_t version = parameter.value().version();
  const Tensor source = tensor<float>({3, 4}, {2});
  parameter.assign(source);
  EXPECT_EQ(parameter.value().raw_data(), data);
  EXPECT_GT(parameter.value().version(), version);
  EXPECT_FALSE(parameter.value().shares_storage_with(source));
  EXPECT_EQ(parameter.value().to_vector<float>(), (std::vector<float>{3, 4}));
}

TEST(Parameters, AssignCastsToTheParametersDtype) {
  Parameter parameter = two(1, 2);
  parameter.assign(tensor<double>({0.1, 4}, {2}));
  EXPECT_EQ(parameter.value().dtype(), float32);
  EXPECT_EQ(parameter.value().to_vector<float>(), (std::vector<float>{0.1F, 4}));
}

TEST(Parameters, AssignOfAnotherShapeNamesTheCallersLine) {
  Parameter parameter = two(1, 2);
  const int line = __LINE__ + 1;
  const auto assign = [&] { parameter.assign(Tensor::zeros({3})); };
  expect_throws<ShapeError>(
      assign, {"[assign]", "(3,)", "(2,)", "parameter_test.cpp:" + std::to_string(line)});
  expect_throws<ShapeError>([&] { parameter.assign(Tensor::zeros({2, 1})); }, {"(2, 1)"});
  EXPECT_EQ(parameter.value().to_vector<float>(), (std::vector<float>{1, 2}));
}

TEST(Parameters, ZeroGradWritesNothing) {
  Parameter parameter = two(1, 2);
  set_grad(parameter, 5);
  const Tensor buffer = parameter.grad();
  const uint64_t version = buffer.version();
  parameter.zero_grad();
  EXPECT_FALSE(parameter.grad().defined());
  EXPECT_EQ(buffer.version(), version);
  EXPECT_EQ(buffer.to_vector<float>(), (std::vector<float>{5, 5}));
  EXPECT_TRUE(parameter.state()->grad.shares_storage_with(buffer));
}

}  // namespace
}  // namespace warptape
