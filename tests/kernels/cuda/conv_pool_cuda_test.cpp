// A convolution, ReLU and 2 x 2 pooling that wait for each other, on "cuda": one pass, which gives
// the bits of three.

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/deferred.h"
#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/matrix/plan_listener.h"
#include "kernels/max_pool2d/max_pool2d.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/vendor/gpu_libraries.h"
#include "tests/core/device/gpu_test.h"
#include "tests/support/allocations.h"

namespace warptape {
namespace {

// By our kernels, whatever libraries a GPU has.
class ConvPoolCuda : public GpuTest {
 protected:
  ConvPoolCuda() { set_gpu_libraries(GpuLibraries::Off); }
  ~ConvPoolCuda() override { set_gpu_libraries(before_); }

 private:
  const GpuLibraries before_ = gpu_libraries();
};

// Names of the products that are launched while it lives.
class Products final : public PlanListener {
 public:
  Products() : before_(std::exchange(current(), this)) {}
  ~Products() { current() = before_; }
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  explicit Products(bool skip) : Products() { skip_ = skip; }

  bool hear(const char* name, const std::string& plan) override {
    names_.emplace_back(name);
    last_plan_ = plan;
    return skip_;
  }
  const std::string& last_plan() const { return last_plan_; }
  bool have_pooled() const {
    return std::find(names_.begin(), names_.end(), "conv2d_max_pool2d") != names_.end();
  }

 private:
  PlanListener* before_;
  std::vector<std::string> names_;
  std::string last_plan_;
  bool skip_ = false;  // nothing is launched
};

struct Layers {
  Shape x = {2, 3, 6, 8};
  Shape weight = {8, 3, 3, 3};
  bool bias = true;
  bool relu = true;
  Conv2dOptions conv = {.padding = 1};
  MaxPool2dOptions pool = {};
  DType dtype = float32;
};

struct Result {
  std::vector<std::vector<double>> values;  // the output and the gradients of all inputs
  bool in_one_pass = false;
};

std::vector<double> numbers(const Tensor& x) {
  return x.to(cpu).to(float64).to_vector<double>();
}

Result run(const Layers& layers, std::vector<Tensor> inputs, bool keeps) {
  for (Tensor& input : inputs) {
    input = input.defined() ? input.detach() : input;
  }
  Tape tape;
  for (Tensor& input : inputs) {
    if (input.defined()) {
      tape.watch(input);
    }
  }
  Result result;
  const Products products;
  const DeferralScope scope;
  std::vector<Tensor> kept;
  const auto pass = [&](Tensor y) {
    if (keeps) {
      kept.push_back(y);
    }
    return y;
  };
  Tensor y = pass(conv2d(inputs[0], inputs[1], inputs[2], layers.conv));
  if (layers.relu) {
    y = pass(relu(std::move(y)));
  }
  y = max_pool2d(std::move(y), layers.pool);
  result.values.push_back(numbers(y));
  result.in_one_pass = products.have_pooled();
  manual_seed(7);
  tape.backward(y, randn(y.shape(), float32, cpu).to(layers.dtype).to(cuda));
  for (const Tensor& input : inputs) {
    if (input.defined()) {
      result.values.push_back(numbers(tape.gradient(input)));
    }
  }
  return result;
}

std::vector<Tensor> random_inputs(const Layers& layers) {
  manual_seed(3);
  const auto random = [&](const Shape& shape) { return randn(shape).to(layers.dtype).to(cuda); };
  return {random(layers.x), random(layers.weight),
          layers.bias ? random({layers.weight[0]}) : Tensor()};
}

void expect_the_same(const Layers& layers, const std::vector<Tensor>& inputs, bool in_one_pass) {
  const Result one = run(layers, inputs, false);
  const Result three = run(layers, inputs, true);
  EXPECT_EQ(one.in_one_pass, in_one_pass);
  EXPECT_FALSE(three.in_one_pass) << "somebody holds what is between";
  ASSERT_EQ(one.values.size(), three.values.size());
  for (size_t i = 0; i < one.values.size(); ++i) {
    ASSERT_EQ(one.values[i].size(), three.values[i].size());
    for (size_t k = 0; k < one.values[i].size(); ++k) {
      const double a = one.values[i][k];
      const double b = three.values[i][k];
      ASSERT_TRUE(a == b || (std::isnan(a) && std::isnan(b)))
          << "result " << i << ", element " << k << ": " << a << " and " << b;
    }
  }
}

void expect_the_same(const Layers& layers, bool in_one_pass) {
  expect_the_same(layers, random_inputs(layers), in_one_pass);
}

TEST_F(ConvPoolCuda, IsOnePassOfTheSameBits) {
  expect_the_same({}, true);
  expect_the_same({.bias = false}, true);
  expect_the_same({.relu = false}, true);
  expect_the_same({.x = {3, 3, 7, 5}}, true);                           // a line and a column over
  expect_the_same({.x = {2, 8, 6, 6}, .weight = {12, 8, 3, 3}}, true);  // packs
  expect_the_same({.x = {2, 8, 6, 6}, .weight = {130, 8, 1, 1}, .conv = {}}, true);
  expect_the_same({.x = {2, 4, 9, 8}, .weight = {5, 4, 3, 2}, .conv = {.stride = {1, 2}}}, true);
  expect_the_same({.x = {2, 4, 6, 6}, .weight = {6, 2, 3, 3}, .conv = {.padding = 1, .groups = 2}},
                  true);
  expect_the_same({.x = {1, 3, 2, 2}}, true);  // one window
  // More windows than a tile has, over images that end within one.
  expect_the_same({.x = {5, 3, 10, 14}, .weight = {4, 3, 3, 3}}, true);
}

TEST_F(ConvPoolCuda, IsThreeWhereOneDoesNotServe) {
  expect_the_same({.pool = {.kernel_size = 3}}, false);
  expect_the_same({.pool = {.kernel_size = 2, .stride = 1}}, false);
  expect_the_same({.pool = {.kernel_size = 2, .padding = 1}}, false);
  expect_the_same({.pool = {.kernel_size = 2, .dilation = 2}}, false);
  for (const Shape& x : {Shape{2, 3, 7, 5}, Shape{2, 3, 7, 6}, Shape{2, 3, 6, 5}}) {
    expect_the_same({.x = x, .pool = {.ceil_mode = true}}, false);
  }
  expect_the_same({.x = {2, 3, 6, 8}, .pool = {.ceil_mode = true}}, true);  // nothing hangs over
  expect_the_same({.weight = {3, 1, 3, 3}, .conv = {.padding = 1, .groups = 3}}, false);
  expect_the_same({.dtype = float64}, false);
  expect_the_same({.dtype = bfloat16}, false);
  expect_the_same({.x = {1, 512, 4, 4}, .weight = {4, 512, 3, 3}}, false);  // the depth is split
}

// Some windows of five channels begin at 16 bytes and their indices between words.
TEST_F(ConvPoolCuda, ResultsThatBeginWithinAPack) {
  const OffsetAllocations offset;
  expect_the_same({.weight = {5, 3, 3, 3}}, true);
}

// SimpleCNN's convolutions: wide tiles and packs where channels allow, and blocks for the whole
// chip.
TEST_F(ConvPoolCuda, FillsTheChip) {
  const auto plan_of = [](int64_t batch, int64_t channels, int64_t size, int64_t filters) {
    const Tensor x =
        Tensor::empty({batch, channels, size, size}, float32, cuda, MemoryFormat::ChannelsLast);
    const Tensor weight =
        Tensor::empty({filters, channels, 3, 3}, float32, cuda, MemoryFormat::ChannelsLast);
    const Products products(true);
    const DeferralScope scope;
    max_pool2d(relu(conv2d(x, weight, Tensor(), {.padding = 1})), {}).raw_data();
    EXPECT_TRUE(products.have_pooled());
    return products.last_plan();
  };
  EXPECT_EQ(plan_of(64, 3, 32, 64), "single elements, tiles of 128x64, 512 blocks of 4 steps");
  EXPECT_EQ(plan_of(64, 64, 16, 128), "packs of 4, tiles of 128x64, 256 blocks of 72 steps");
}

TEST_F(ConvPoolCuda, TreatsNansAndTiesAsPooling) {
  const Layers layers{.x = {1, 1, 2, 8}, .weight = {4, 1, 1, 1}, .conv = {}};
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const Tensor x = tensor<float>({1, 1, nan, 2, -infinity, -infinity, 0, -0.0F,  //
                                  1, 1, 3, nan, -infinity, -infinity, -0.0F, 0},
                                 {1, 1, 2, 8}, cuda);
  const std::vector<Tensor> inputs = {x, tensor<float>({1, -1, 0.5, 2}, {4, 1, 1, 1}, cuda),
                                      tensor<float>({0, 0, 1, -1}, {4}, cuda)};
  expect_the_same(layers, inputs, true);
  Layers plain = layers;
  plain.relu = false;
  expect_the_same(plain, inputs, true);
}

// Whoever keeps a result may ask for it later.
TEST_F(ConvPoolCuda, ResultsThatAreKeptAreThere) {
  const std::vector<Tensor> inputs = random_inputs({});
  const DeferralScope scope;
  const Tensor c = conv2d(inputs[0], inputs[1], inputs[2], {.padding = 1});
  const Tensor y = max_pool2d(relu(c), {});
  const Tensor again = conv2d(inputs[0], inputs[1], inputs[2], {.padding = 1});
  EXPECT_EQ(numbers(c), numbers(again));
  EXPECT_EQ(numbers(y), numbers(max_pool2d(relu(again), {})));
}

// The input may be overwritten once the ops were called.
TEST_F(ConvPoolCuda, ReadsWhatItWasGiven) {
  std::vector<Tensor> inputs = random_inputs({});
  Tensor x = inputs[0].clone();
  const DeferralScope scope;
  const Tensor y = max_pool2d(relu(conv2d(x, inputs[1], inputs[2], {.padding = 1})), {});
  primitives::fill(x, 0);
  EXPECT_EQ(numbers(y),
            numbers(max_pool2d(relu(conv2d(inputs[0], inputs[1], inputs[2], {.padding = 1})), {})));
}

}  // namespace
}  // namespace warptape
