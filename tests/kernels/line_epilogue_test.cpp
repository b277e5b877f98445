// Convolutions along lines with the ops behind them in the same pass, against those ops one by one:
// the same bits, forward and backward.

#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "core/deferred.h"
#include "core/profile.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/conv1d/conv1d.h"
#include "kernels/dropout/dropout.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/sum/sum.h"

namespace warptape {
namespace {

struct Inputs {
  Tensor x;
  Tensor weight;
  Tensor bias;
  Tensor residual;
  Generator generator;  // of the dropout

  Tensor conv() const {
    return conv1d(x, weight, bias, {.padding = Padding1d::causal(), .dilation = 2});
  }
};

using Ops = std::function<Tensor(Inputs&)>;

struct Results {
  std::vector<Tensor> tensors;  // y, dx, dweight, dbias, dresidual
  std::vector<std::string> ran;
};

Results results_of(const Ops& ops, int64_t length, bool together, bool trains = true) {
  Generator generator(3);
  Inputs in{randn({2, 3, length}, float32, generator), randn({5, 3, 3}, float32, generator),
            randn({5}, float32, generator), randn({2, 5, length}, float32, generator),
            Generator(11)};
  std::optional<Tape> tape;
  if (trains) {
    tape.emplace();
    for (Tensor* tensor : {&in.x, &in.weight, &in.bias, &in.residual}) {
      tape->watch(*tensor);
    }
  }
  profile::start();
  Results results;
  {
    std::optional<DeferralScope> scope;
    if (together) {
      scope.emplace();
    }
    results.tensors.push_back(ops(in));
  }
  if (trains) {
    tape->backward(results.tensors[0], randn({2, 5, length}, float32, generator));
    for (const Tensor& tensor : {in.x, in.weight, in.bias, in.residual}) {
      results.tensors.push_back(tape->gradient(tensor));
    }
  }
  for (const profile::Total& total : profile::summarize(profile::stop())) {
    results.ran.push_back(total.name);
  }
  return results;
}

void expect_same_bits(const Results& a, const Results& b) {
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    ASSERT_EQ(a.tensors[i].defined(), b.tensors[i].defined()) << i;
    if (a.tensors[i].defined()) {
      EXPECT_EQ(a.tensors[i].to_vector<float>(), b.tensors[i].to_vector<float>()) << i;
    }
  }
}

// Of tests, which lay out what they compare.
bool is_primitive(const std::string& name) {
  return name == "copy" || name == "accumulate" || name == "cast" || name == "fill";
}

// Lengths whose lines begin within a block of random words, and fill more than one round of them.
void expect_one_pass(const Ops& ops) {
  for (const int64_t length : {int64_t{37}, int64_t{2303}}) {
    const Results apart = results_of(ops, length, false);
    const Results together = results_of(ops, length, true);
    expect_same_bits(apart, together);
    EXPECT_GT(apart.ran.size(), 2U);
    for (const std::string& name : together.ran) {
      const bool is_of_pass =
          name == "conv1d" || name == "conv1d backward" || name == "mask_gradient backward";
      EXPECT_TRUE(is_of_pass || is_primitive(name)) << name << " ran on its own";
    }
    expect_same_bits(results_of(ops, length, false, false), results_of(ops, length, true, false));
  }
}

TEST(LineEpilogue, ReLU) {
  expect_one_pass([](Inputs& in) { return relu(in.conv()); });
}

TEST(LineEpilogue, Dropout) {
  expect_one_pass([](Inputs& in) { return dropout(in.conv(), 0.3, true, in.generator); });
}

TEST(LineEpilogue, ReLUAndDropout) {
  expect_one_pass([](Inputs& in) { return dropout(relu(in.conv()), 0.3, true, in.generator); });
}

TEST(LineEpilogue, Residual) {
  expect_one_pass([](Inputs& in) { return add(in.conv(), in.residual); });
}

TEST(LineEpilogue, ResidualInFront) {
  expect_one_pass([](Inputs& in) { return relu(add(in.residual, in.conv())); });
}

TEST(LineEpilogue, ResidualBehindAReLU) {
  expect_one_pass([](Inputs& in) { return add(relu(in.conv()), in.residual); });
}

TEST(LineEpilogue, ResidualBehindADropout) {
  expect_one_pass([](Inputs& in) {
    return relu(add(dropout(in.conv(), 0.3, true, in.generator), in.residual));
  });
}

TEST(LineEpilogue, WholeResidualStep) {
  expect_one_pass([](Inputs& in) {
    return relu(add(dropout(relu(in.conv()), 0.3, true, in.generator), in.residual));
  });
}

// What is not part of the pass follows it, with the same result.
TEST(LineEpilogue, EndsWhereItMust) {
  const Ops all[] = {
      [](Inputs& in) { return relu(dropout(in.conv(), 0.3, true, in.generator)); },
      [](Inputs& in) { return relu(relu(in.conv())); },
      [](Inputs& in) { return dropout(in.conv(), 1, true, in.generator); },
      [](Inputs& in) { return tanh(relu(in.conv())); },
      [](Inputs& in) { return add(add(in.conv(), in.residual), in.residual); },
      [](Inputs& in) { return dropout(add(in.conv(), in.residual), 0.3, true, in.generator); },
      [](Inputs& in) { return add(in.conv(), in.residual.to(MemoryFormat::ChannelsLast)); },
      [](Inputs& in) {
        return add(in.conv(), in.bias.view({5, 1}));
      },
  };
  for (const Ops& ops : all) {
    expect_same_bits(results_of(ops, 37, false), results_of(ops, 37, true));
  }
}

// A gradient that somebody asked for is not written over by what is made of it.
TEST(LineEpilogue, LeavesTheGradientOfItsOutput) {
  Tensor x = randn({2, 3, 37});
  Tape tape;
  tape.watch(x);
  const DeferralScope scope;
  const Tensor y = relu(conv1d(x, randn({5, 3, 3}), Tensor(), {.padding = 1}));
  const std::vector<Tensor> gradients = tape.gradients(sum(y), {y, x});
  EXPECT_EQ(gradients[0].to_vector<float>(), std::vector<float>(2 * 5 * 37, 1));
}

// Two residual blocks, h = relu(c2(c1(x)) + x) and the same of h; returns their output, every
// gradient and how many passes over gradients there were for masks alone.
struct Blocks {
  std::vector<Tensor> tensors;
  int64_t passes = 0;
};
Blocks two_blocks(bool together) {
  Generator numbers(3);
  Generator drops(11);
  Tensor x = randn({2, 5, 2303}, float32, numbers);
  std::vector<Tensor> weights;
  for (int i = 0; i < 4; ++i) {
    weights.push_back(randn({5, 5, 3}, float32, numbers));
  }
  Tape tape;
  tape.watch(x);
  for (Tensor& weight : weights) {
    tape.watch(weight);
  }
  profile::start();
  Blocks result;
  {
    std::optional<DeferralScope> scope;
    if (together) {
      scope.emplace();
    }
    const Conv1dOptions causal{.padding = Padding1d::causal()};
    Tensor h = x;
    for (size_t block = 0; block < 2; ++block) {
      Tensor c = dropout(relu(conv1d(h, weights[2 * block], Tensor(), causal)), 0.3, true, drops);
      c = dropout(relu(conv1d(c, weights[2 * block + 1], Tensor(), causal)), 0.3, true, drops);
      h = relu(add(std::move(c), h));
    }
    result.tensors.push_back(h);
  }
  tape.backward(result.tensors[0], randn({2, 5, 2303}, float32, numbers));
  result.tensors.push_back(tape.gradient(x));
  for (const Tensor& weight : weights) {
    result.tensors.push_back(tape.gradient(weight));
  }
  for (const profile::Event& event : profile::stop()) {
    result.passes += event.name == "mask_gradient backward" ? 1 : 0;
  }
  return result;
}

TEST(LineMasks, AreAppliedByTheLoopsThatMakeTheGradient) {
  const Blocks apart = two_blocks(false);
  const Blocks together = two_blocks(true);
  ASSERT_EQ(apart.tensors.size(), together.tensors.size());
  for (size_t i = 0; i < apart.tensors.size(); ++i) {
    EXPECT_EQ(apart.tensors[i].to_vector<float>(), together.tensors[i].to_vector<float>()) << i;
  }
  EXPECT_EQ(together.passes, 1);  // over what is given for the last output
}

// A result with another holder has elements of its own.
TEST(LineEpilogue, LeavesWhatIsHeldAlone) {
  const auto sum_of_both = [](Inputs& in) {
    const Tensor y = in.conv();
    return add(relu(y), y);
  };
  expect_same_bits(results_of(sum_of_both, 37, false), results_of(sum_of_both, 37, true));
}

}  // namespace
}  // namespace warptape
