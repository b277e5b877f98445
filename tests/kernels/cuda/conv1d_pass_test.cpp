// conv1d on "cuda" with the ops behind it in its own kernel, and their gradients' masks in the
// kernels that make those gradients, against the ops one by one: the same bits, and few launches.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include "core/deferred.h"
#include "core/profile.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/conv1d/conv1d.h"
#include "kernels/conv1d/mask_gradient_cuda.h"
#include "kernels/dropout/dropout.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/slice/place_masked.h"
#include "kernels/slice/slice.h"
#include "kernels/sum/sum.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/case_run.h"

namespace warptape {
namespace {

class Conv1dPass : public GpuTest {};

struct Sizes {
  int64_t batch = 2;
  int64_t channels = 5;
  int64_t length = 37;
  int64_t groups = 1;
  int64_t dilation = 2;
  DType dtype = float32;
};

struct Inputs {
  explicit Inputs(const Sizes& sizes) : sizes(sizes) {
    Generator numbers(3);
    const auto make = [&](const Shape& shape) {
      return randn(shape, float32, numbers).to(sizes.dtype).to(cuda);
    };
    const int64_t c = sizes.channels;
    x = make({sizes.batch, c, sizes.length}).to(MemoryFormat::ChannelsLast);
    residual = make({sizes.batch, c, sizes.length}).to(MemoryFormat::ChannelsLast);
    for (Tensor& weight : weights) {
      weight = make({c, c / sizes.groups, 3});
    }
    for (Tensor& bias : biases) {
      bias = make({c});
    }
    seed = make({sizes.batch, c, sizes.length}).to(MemoryFormat::ChannelsLast);
  }

  Tensor conv(const Operand& input, size_t i) const {
    return conv1d(
        input, weights[i], biases[i],
        {.padding = Padding1d::causal(), .dilation = sizes.dilation, .groups = sizes.groups});
  }

  Sizes sizes;
  Tensor x, residual, seed;
  std::array<Tensor, 4> weights, biases;
  Generator generator{11};  // of the dropout
};

using Ops = std::function<Tensor(Inputs&)>;

struct Results {
  std::vector<std::vector<double>> values;  // y, and gradients
  std::vector<std::string> ran;
};

std::vector<double> values_of(const Tensor& tensor) {
  if (!tensor.defined()) {
    return {};
  }
  return tensor.to(cpu).to(float64).to(MemoryFormat::RowMajor).to_vector<double>();
}

Results results_of(const Ops& ops, const Sizes& sizes, bool together, bool trains = true) {
  Inputs in(sizes);
  std::optional<Tape> tape;
  std::vector<Tensor*> leaves{&in.x, &in.residual};
  for (size_t i = 0; i < in.weights.size(); ++i) {
    leaves.push_back(&in.weights[i]);
    leaves.push_back(&in.biases[i]);
  }
  if (trains) {
    tape.emplace();
    for (Tensor* leaf : leaves) {
      tape->watch(*leaf);
    }
  }
  profile::start();
  Results results;
  Tensor y;
  {
    std::optional<DeferralScope> scope;
    if (together) {
      scope.emplace();
    }
    y = ops(in);
  }
  if (trains) {
    Generator numbers(5);
    tape->backward(
        y,
        randn(y.shape(), float32, numbers).to(sizes.dtype).to(cuda).to(MemoryFormat::ChannelsLast));
  }
  for (const profile::Total& total : profile::summarize(profile::stop())) {
    results.ran.push_back(total.name);
  }
  results.values.push_back(values_of(y));
  if (trains) {
    for (const Tensor* leaf : leaves) {
      results.values.push_back(values_of(tape->gradient(*leaf)));
    }
  }
  return results;
}

void expect_same_bits(const Results& a, const Results& b) {
  ASSERT_EQ(a.values.size(), b.values.size());
  for (size_t i = 0; i < a.values.size(); ++i) {
    EXPECT_EQ(a.values[i], b.values[i]) << i;
  }
}

// Up to rounding: products may be spread otherwise over the GPU.
void expect_near(const Results& a, const Results& b, DType dtype) {
  ASSERT_EQ(a.values.size(), b.values.size());
  for (size_t i = 0; i < a.values.size(); ++i) {
    ASSERT_EQ(a.values[i].size(), b.values[i].size()) << i;
    double largest = 0;
    double difference = 0;
    for (size_t k = 0; k < a.values[i].size(); ++k) {
      largest = std::max(largest, std::abs(a.values[i][k]));
      difference = std::max(difference, std::abs(a.values[i][k] - b.values[i][k]));
    }
    EXPECT_LE(difference, (dtype == bfloat16 ? 2e-2 : 2e-6) * largest) << i;
  }
}

// Two blocks of a TCN: two convolutions each.
Tensor blocks(Inputs& in) {
  Tensor y = in.x;
  for (const size_t first : {size_t{0}, size_t{2}}) {
    const Tensor x = y;
    Tensor h = dropout(relu(in.conv(x, first)), 0.3, true, in.generator);
    h = dropout(relu(in.conv(std::move(h), first + 1)), 0.3, true, in.generator);
    y = relu(add(std::move(h), x));
  }
  return y;
}

// What was given for the last output is masked in a pass of its own. Tests lay out what they
// compare.
bool is_of_pass(const std::string& name) {
  return name == "conv1d" || name == "conv1d backward" || name == "mask_gradient backward" ||
         name == "copy" || name == "accumulate" || name == "cast" || name == "fill";
}

TEST_F(Conv1dPass, BlocksHaveTheBitsOfTheirOps) {
  const Sizes all[] = {
      {.channels = 5, .length = 37},                               // single elements
      {.batch = 1, .channels = 8, .length = 64},                   // packs
      {.batch = 1, .channels = 72, .length = 90, .dilation = 16},  // two tiles of columns
      {.channels = 8, .length = 36, .groups = 2},
      {.channels = 5, .length = 37, .dtype = bfloat16},
      {.batch = 1, .channels = 136, .length = 70, .dtype = bfloat16},  // two tiles of columns
      {.channels = 16, .length = 40, .groups = 2, .dtype = bfloat16},
  };
  for (const Sizes& sizes : all) {
    if (is_sanitized() && sizes.channels > 64) {
      continue;  // MatrixPass meets the same threads
    }
    SCOPED_TRACE(testing::Message() << sizes.channels << " channels, length " << sizes.length);
    const Results apart = results_of(blocks, sizes, false);
    const Results together = results_of(blocks, sizes, true);
    for (const std::string& name : together.ran) {
      EXPECT_TRUE(is_of_pass(name)) << name << " ran on its own";
    }
    const Results untrained = results_of(blocks, sizes, true, false);
    EXPECT_EQ(untrained.values[0], together.values[0]);
    if (sizes.channels > 64) {
      expect_near(apart, together, sizes.dtype);
    } else {
      expect_same_bits(apart, together);
    }
  }
}

void expect_one_pass(const Ops& ops) {
  for (const DType dtype : {float32, bfloat16}) {
    const Sizes sizes{.dtype = dtype};
    const Results apart = results_of(ops, sizes, false);
    const Results together = results_of(ops, sizes, true);
    expect_same_bits(apart, together);
    EXPECT_GT(apart.ran.size(), 2U);
    for (const std::string& name : together.ran) {
      EXPECT_TRUE(is_of_pass(name)) << name << " ran on its own";
    }
    expect_same_bits(results_of(ops, sizes, false, false), results_of(ops, sizes, true, false));
  }
}

TEST_F(Conv1dPass, EveryEpilogue) {
  const Ops all[] = {
      [](Inputs& in) { return relu(in.conv(in.x, 0)); },
      [](Inputs& in) { return dropout(in.conv(in.x, 0), 0.3, true, in.generator); },
      [](Inputs& in) { return dropout(relu(in.conv(in.x, 0)), 0.3, true, in.generator); },
      [](Inputs& in) { return add(in.conv(in.x, 0), in.residual); },
      [](Inputs& in) { return relu(add(in.residual, in.conv(in.x, 0))); },
      [](Inputs& in) { return add(relu(in.conv(in.x, 0)), in.residual); },
      [](Inputs& in) {
        return relu(add(dropout(in.conv(in.x, 0), 0.3, true, in.generator), in.residual));
      },
  };
  for (const Ops& ops : all) {
    SCOPED_TRACE(&ops - all);
    expect_one_pass(ops);
  }
}

TEST_F(Conv1dPass, EndsWhereItMust) {
  const Ops all[] = {
      [](Inputs& in) { return relu(dropout(in.conv(in.x, 0), 0.3, true, in.generator)); },
      [](Inputs& in) { return dropout(in.conv(in.x, 0), 1, true, in.generator); },
      [](Inputs& in) { return tanh(relu(in.conv(in.x, 0))); },
      [](Inputs& in) { return add(add(in.conv(in.x, 0), in.residual), in.residual); },
      [](Inputs& in) { return add(in.conv(in.x, 0), in.residual.to(MemoryFormat::RowMajor)); },
  };
  for (const Ops& ops : all) {
    SCOPED_TRACE(&ops - all);
    expect_same_bits(results_of(ops, {}, false), results_of(ops, {}, true));
  }
}

// What a ReLU lets pass has several readers, of which the one that comes last masks the sum.
TEST_F(Conv1dPass, ReadersOfAMaskedGradient) {
  const auto hidden = [](Inputs& in) { return relu(in.conv(in.x, 0)); };
  const Ops all[] = {
      [&](Inputs& in) {  // two convolutions
        const Tensor h = hidden(in);
        const Tensor a = in.conv(h, 1);
        return add(in.conv(h, 2), a);
      },
      [&](Inputs& in) {  // its own residual
        const Tensor h = hidden(in);
        return relu(add(in.conv(h, 1), h));
      },
      [&](Inputs& in) {  // the last to add is another op
        const Tensor h = hidden(in);
        const Tensor t = tanh(h);
        return add(in.conv(h, 1), t);
      },
      [&](Inputs& in) {  // the first reader has no influence
        const Tensor h = hidden(in);
        const Tensor unused = in.conv(h, 1);
        return add(in.conv(h, 2), tanh(h));
      },
      [&](Inputs& in) {  // nobody's gradient comes by a convolution
        return tanh(relu(add(hidden(in), in.residual)));
      },
      [&](Inputs& in) {  // twice the input of one op
        const Tensor h = hidden(in);
        return mul(in.conv(h, 1), mul(h, h));
      },
  };
  for (const Ops& ops : all) {
    SCOPED_TRACE(&ops - all);
    // In bfloat16 the order of three parts tells.
    expect_same_bits(results_of(ops, {}, false), results_of(ops, {}, true));
    const Sizes narrow{.dtype = bfloat16};
    expect_near(results_of(ops, narrow, false), results_of(ops, narrow, true), bfloat16);
  }
}

// The last reader is a slice: its gradient is zero but in places, and goes through the mask.
TEST_F(Conv1dPass, SlicesOfAMaskedGradient) {
  struct Part {
    int dim;
    int64_t start, end, step;
  };
  // The last step; a part with a stride; channels.
  for (const Part& part : {Part{2, 36, 37, 1}, Part{2, 3, 30, 4}, Part{1, 1, 4, 1}}) {
    const auto ops = [&](Inputs& in) {
      Tensor y = blocks(in);
      return slice(y, part.dim, part.start, part.end, part.step);
    };
    const auto beside = [&](Inputs& in) {  // another reader besides
      const Tensor y = blocks(in);
      const Tensor part_of_y = slice(y, part.dim, part.start, part.end, part.step);
      return mul(sum(tanh(y)), part_of_y);
    };
    const Sizes single{.batch = 1};
    const Sizes packs{.batch = 1, .channels = 8, .dtype = bfloat16};
    expect_near(results_of(ops, single, false), results_of(ops, single, true), float32);
    expect_near(results_of(beside, packs, false), results_of(beside, packs, true), bfloat16);
  }
}

// Packs of marks are read where they begin with a pack alone.
TEST_F(Conv1dPass, MarksThatBeginAnywhere) {
  constexpr int64_t n = 64;
  const Tensor dy = randn({n}).to(cuda);
  std::vector<std::vector<float>> results;
  for (const int64_t begin : {0, 1}) {
    Tensor numbers = Tensor::empty({n + 1}, uint8);
    for (int64_t i = 0; i < n; ++i) {
      numbers.mutable_data<uint8_t>()[begin + i] = static_cast<uint8_t>(i % 4);
    }
    const Tensor marks = numbers.to(cuda).slice(begin, begin + n);
    Tensor inner = Tensor::empty_like(dy);
    Tensor outer = Tensor::empty_like(dy);
    on_cuda::mask_gradient<float>(gpu::current_stream(), n, dy.data<float>(), marks.data<uint8_t>(),
                                  2, inner.mutable_data<float>(), outer.mutable_data<float>());
    results.push_back(inner.to_vector<float>());
    results.push_back(outer.to_vector<float>());
    const on_cuda::PlacedSlice whole{
        .outer = 1, .size = 1, .inner = n, .begin = 0, .step = 1, .count = 1};
    on_cuda::place_masked<float>(gpu::current_stream(), whole,
                                 {.dy = dy.data<float>(),
                                  .part = dy.data<float>(),
                                  .marks = marks.data<uint8_t>(),
                                  .scale = 2,
                                  .inner = inner.mutable_data<float>(),
                                  .outer = outer.mutable_data<float>()});
    results.push_back(inner.to_vector<float>());
    results.push_back(outer.to_vector<float>());
  }
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(results[i], results[i + 4]) << i;
  }
}

// A gradient that somebody asks for is the whole one.
TEST_F(Conv1dPass, LeavesGradientsThatAreAskedFor) {
  const auto gradients = [](bool together) {
    Inputs in({});
    Tape tape;
    tape.watch(in.x);
    std::optional<DeferralScope> scope;
    if (together) {
      scope.emplace();
    }
    const Tensor h = relu(in.conv(in.x, 0));
    const Tensor y = sum(in.conv(h, 1));
    std::vector<std::vector<double>> result;
    for (const Tensor& gradient : tape.gradients(y, {h, in.x})) {
      result.push_back(values_of(gradient));
    }
    return result;
  };
  EXPECT_EQ(gradients(true), gradients(false));
}

TEST_F(Conv1dPass, BackwardAgain) {
  Inputs in({});
  Tape tape;
  tape.watch(in.x);
  Tensor y;
  {
    const DeferralScope scope;
    y = blocks(in);
  }
  tape.backward(y, in.seed, {.keep = true});
  const std::vector<double> first = values_of(tape.gradient(in.x));
  tape.backward(y, in.seed, {.keep = true});
  EXPECT_EQ(values_of(tape.gradient(in.x)), first);
}

TEST_F(Conv1dPass, NaNsPass) {
  Inputs in({.batch = 1, .length = 8});
  in.biases[0] = Tensor::full({5}, std::numeric_limits<double>::quiet_NaN(), float32, cuda);
  Tape tape;
  tape.watch(in.biases[0]);
  const DeferralScope scope;
  const Tensor y = relu(in.conv(in.x, 0));
  tape.backward(sum(y));
  EXPECT_TRUE(std::isnan(values_of(y)[3]));
  EXPECT_EQ(values_of(tape.gradient(in.biases[0])), std::vector<double>(5, 8.0));
}

}  // namespace
}  // namespace warptape
