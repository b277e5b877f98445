// Parameters that get a gradient and that no optimizer holds: nothing would train them, so that a
// step says so.

#include <gtest/gtest.h>

#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "layers/weight_norm.h"
#include "tests/core/expect_throws.h"
#include "training/optimizers.h"

namespace warptape {
namespace {

void run_backward(Module& model, int64_t inputs = 3) {
  Tape tape;
  tape.backward(sum(model(Tensor::ones({2, inputs}))));
}

std::vector<float> bias_of(Linear& layer) {
  return layer.bias.value().to_vector<float>();
}

// Not in the object itself: the first call does not see it.
struct Forgetful : Module {
  Linear listed{3, 4};
  std::vector<Linear> forgotten{Linear(4, 2)};
  void fields(Visitor& visit) override { visit("listed", listed); }
  Tensor forward(const Operand& x) override { return forgotten[0](listed(x)); }
};

TEST(UnheldParameters, AMemberThatFieldsForgetsIsNamedByShapeAndUse) {
  Forgetful model;
  Adam optimizer(parameters(model), {});
  const std::vector<float> before = bias_of(model.listed);
  run_backward(model);
  for (int i = 0; i < 2; ++i) {  // as often as it is asked
    expect_throws<ValueError>(
        [&] { optimizer.step(); },
        {"[Adam] step: 2 parameters got a gradient that no optimizer holds",
         "a parameter of shape (2, 4) (used by linear (at unheld_parameters_test.cpp:", "(2,)",
         "fields()", "Freeze", "allow_unheld"});
  }
  EXPECT_EQ(bias_of(model.listed), before) << "nothing is updated";
  optimizer.step({.allow_unheld = true});
  EXPECT_NE(bias_of(model.listed), before);
  EXPECT_NO_THROW(optimizer.step()) << "what was allowed is not asked again";
}

TEST(UnheldParameters, ACopyMadeAfterTheOptimizerIsNamed) {
  Sequential model(Linear(3, 2));
  SGD optimizer(parameters(model), {.lr = 0.1});
  Sequential copy = model;
  run_backward(copy);
  expect_throws<ValueError>([&] { optimizer.step(); },
                            {"[SGD] step: 2 parameters", "0.weight of shape (2, 3)", "0.bias"});
  optimizer.zero_grad();
  run_backward(model);
  EXPECT_NO_THROW(optimizer.step());
}

TEST(UnheldParameters, WeightNormAppliedOrRemovedAfterTheOptimizerIsNamed) {
  Linear layer(3, 2);
  SGD optimizer(parameters(layer), {.lr = 0.1});
  weight_norm(layer);
  run_backward(layer);
  expect_throws<ValueError>([&] { optimizer.step(); },
                            {"2 parameters", "weight_g of shape (2, 1)", "weight_v of shape (2, 3)",
                             "used by weight_norm"});
  SGD anew(parameters(layer), {.lr = 0.1});
  EXPECT_NO_THROW(anew.step());
  remove_weight_norm(layer);
  run_backward(layer);
  expect_throws<ValueError>([&] { anew.step(); }, {"1 parameter got", "(2, 3)", "used by linear"});
}

TEST(UnheldParameters, AModelThatWasReplacedIsNamed) {
  Linear layer(3, 2);
  SGD optimizer(parameters(layer), {.lr = 0.1});
  layer = Linear(3, 2);  // the parameters of another one
  run_backward(layer);
  EXPECT_THROW(optimizer.step(), ValueError);
  Linear other(3, 2);
  SGD of_other(parameters(other), {.lr = 0.1});
  other = layer;  // values only
  optimizer.zero_grad();
  run_backward(other);
  EXPECT_NO_THROW(of_other.step());
}

TEST(UnheldParameters, PartsMayBeFrozenOrHaveAnOptimizerEach) {
  Sequential model(Linear(3, 4), Linear(4, 2));
  auto& head = dynamic_cast<Linear&>(model[1]);
  {
    SGD of_head(parameters(head), {.lr = 0.1});
    run_backward(model);
    EXPECT_THROW(of_head.step(), ValueError);
    SGD of_body(parameters(model[0]), {.lr = 0.1});
    EXPECT_NO_THROW(of_head.step());
    EXPECT_NO_THROW(of_body.step());
    of_head.zero_grad();
    of_body.zero_grad();
  }
  freeze(model, "0.*");
  SGD of_head(parameters(head), {.lr = 0.1});
  run_backward(model);
  EXPECT_NO_THROW(of_head.step());
  SGD of_all(parameters(model), {.lr = 0.1});  // holds frozen ones beside others
  run_backward(model);
  EXPECT_NO_THROW(of_all.step());
}

TEST(UnheldParameters, AreThoseOfAllTapesSinceTheGradientsWereForgotten) {
  Linear held(3, 2);
  Linear unheld(3, 2);
  SGD optimizer(parameters(held), {.lr = 0.1});
  run_backward(unheld);
  run_backward(held);  // accumulates, as two losses on two tapes do
  EXPECT_THROW(optimizer.step(), ValueError);
  optimizer.zero_grad();  // what came before belongs to another story
  run_backward(held);
  EXPECT_NO_THROW(optimizer.step());
  run_backward(unheld);
  for (const NamedParameter& named : named_parameters(unheld)) {
    named.parameter->zero_grad();
  }
  EXPECT_NO_THROW(optimizer.step()) << "they hold no gradient any more";
}

TEST(UnheldParameters, ThatAreGoneDoNotMatter) {
  Linear held(3, 2);
  SGD optimizer(parameters(held), {.lr = 0.1});
  for (int i = 0; i < 100; ++i) {
    Linear passing(3, 2);
    run_backward(passing);
  }
  run_backward(held);
  EXPECT_NO_THROW(optimizer.step());
}

TEST(UnheldParameters, AnOptimizerThatIsGoneHoldsNothing) {
  Sequential model(Linear(3, 4), Linear(4, 2));
  SGD of_head(parameters(model[1]), {.lr = 0.1});
  {
    SGD of_body(parameters(model[0]), {.lr = 0.1});
    run_backward(model);
    EXPECT_NO_THROW(of_head.step());
  }
  run_backward(model);
  expect_throws<ValueError>([&] { of_head.step(); }, {"2 parameters", "(4, 3)"});
}

TEST(UnheldParameters, GradientsThatAreReturnedDoNotCount) {
  Linear held(3, 2);
  Linear unheld(3, 2);
  SGD optimizer(parameters(held), {.lr = 0.1});
  Tape tape;
  const Tensor loss = sum(unheld(Tensor::ones({1, 3})));
  tape.gradients(loss, {unheld.bias});
  EXPECT_NO_THROW(optimizer.step());
}

}  // namespace
}  // namespace warptape
