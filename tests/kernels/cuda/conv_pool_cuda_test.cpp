// A convolution, ReLU and 2 x 2 pooling that wait for each other, on "cuda": one pass, which gives
// the bits of three.

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/deferred.h"
#include "core/device/gpu.h"
#include "core/parameter.h"
#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_products.h"
#include "kernels/flatten/flatten.h"
#include "kernels/max_pool2d/max_pool2d.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/vendor/gpu_libraries.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/cuda/forced_plan.h"
#include "tests/support/allocations.h"
#include "tools/plan_notes.h"

namespace warptape {
namespace {

// By our kernels, whatever libraries a GPU has.
class ConvPoolCuda : public GpuTest {
 protected:
  ConvPoolCuda() { set_gpu_libraries(GpuLibraries::Off); }
  ~ConvPoolCuda() override {
    set_gpu_libraries(before_);
    set_tf32(false);
  }

 private:
  const GpuLibraries before_ = gpu_libraries();
};

bool have_pooled(const PlanNotes& notes) {
  return std::any_of(notes.plans().begin(), notes.plans().end(), [](const std::string& plan) {
    return plan.rfind("conv2d_max_pool2d: ", 0) == 0;
  });
}

struct Layers {
  Shape x = {2, 3, 6, 8};
  Shape weight = {8, 3, 3, 3};
  bool bias = true;
  bool relu = true;
  Conv2dOptions conv = {.padding = 1};
  MaxPool2dOptions pool = {};
  DType dtype = float32;
  bool flat = false;  // written row by row
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
  const PlanNotes notes;
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
  if (layers.flat) {
    y = flatten(std::move(y), 1);
  }
  result.values.push_back(numbers(y));
  result.in_one_pass = have_pooled(notes);
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

// Row by row: by packs of windows, and one by one where an image has a number that is no multiple.
TEST_F(ConvPoolCuda, RowByRow) {
  for (const DType dtype : {float32, bfloat16}) {
    const auto expect_flat = [&](Layers layers) {
      layers.flat = true;
      layers.dtype = dtype;
      expect_the_same(layers, true);
    };
    expect_flat({.x = {2, 8, 8, 8}, .weight = {16, 8, 3, 3}});
    expect_flat({.x = {7, 8, 8, 4}, .weight = {72, 8, 1, 1}, .conv = {}});
    expect_flat({.x = {2, 3, 7, 6}, .weight = {5, 3, 3, 3}, .bias = false});
    expect_flat({.x = {2, 16, 8, 10},
                 .weight = {32, 8, 3, 3},
                 .relu = false,
                 .conv = {.padding = 1, .groups = 2}});
  }
}

// Largest elements of rounded ones: several are equal, and the first of them has the gradient.
TEST_F(ConvPoolCuda, OnTensorCores) {
  const auto expect_both = [&](Layers layers) {
    layers.dtype = bfloat16;
    expect_the_same(layers, true);
    layers.dtype = float32;
    set_tf32(true);
    expect_the_same(layers, true);
    set_tf32(false);
  };
  expect_both({});  // in float32 without tensor cores: these take packs
  expect_both({.x = {1, 1, 5, 9}, .weight = {4, 1, 3, 3}, .relu = false});
  expect_both({.x = {2, 8, 6, 6}, .weight = {16, 8, 3, 3}});
  expect_both({.x = {3, 8, 7, 5}, .weight = {12, 8, 3, 3}, .bias = false});  // no whole 16 bytes
  expect_both({.x = {2, 8, 6, 6}, .weight = {136, 8, 1, 1}, .conv = {}});    // two tiles of columns
  expect_both({.x = {5, 16, 10, 14}, .weight = {65, 16, 1, 1}, .conv = {}});  // three of rows
  expect_both({.x = {1, 8, 2, 2}, .weight = {8, 8, 3, 3}});
  expect_both(
      {.x = {2, 16, 9, 8}, .weight = {24, 8, 3, 2}, .conv = {.stride = {1, 2}, .groups = 2}});
  expect_both({.x = {2, 64, 4, 4}, .weight = {96, 64, 1, 1}, .conv = {}, .flat = true});
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
  expect_the_same({.x = {1, 512, 4, 4}, .weight = {4, 512, 3, 3}}, false);  // the depth is split
}

// Some windows of five channels begin at 16 bytes and their indices between words.
TEST_F(ConvPoolCuda, ResultsThatBeginWithinAPack) {
  const OffsetAllocations offset;
  expect_the_same({.weight = {5, 3, 3, 3}}, true);
  for (const bool flat : {false, true}) {
    expect_the_same({.x = {2, 8, 8, 8}, .weight = {16, 8, 1, 1}, .conv = {}, .flat = flat}, true);
    expect_the_same(
        {.x = {2, 8, 8, 8}, .weight = {16, 8, 1, 1}, .conv = {}, .dtype = bfloat16, .flat = flat},
        true);
  }
}

// SimpleCNN's convolutions: wide tiles and packs where channels allow, and blocks for the whole
// chip.
TEST_F(ConvPoolCuda, FillsTheChip) {
  const auto plan_of = [](int64_t batch, int64_t channels, int64_t size, int64_t filters) {
    const Tensor x =
        Tensor::empty({batch, channels, size, size}, float32, cuda, MemoryFormat::ChannelsLast);
    const Tensor weight =
        Tensor::empty({filters, channels, 3, 3}, float32, cuda, MemoryFormat::ChannelsLast);
    const PlanNotes notes(PlanNotes::Launches::Skip);
    const DeferralScope scope;
    max_pool2d(relu(conv2d(x, weight, Tensor(), {.padding = 1})), {}).raw_data();
    EXPECT_TRUE(have_pooled(notes));
    return notes.plans().back();
  };
  EXPECT_EQ(plan_of(64, 3, 32, 64),
            "conv2d_max_pool2d: single elements, tiles of 128x64, 512 blocks of 4 steps");
  EXPECT_EQ(plan_of(64, 64, 16, 128),
            "conv2d_max_pool2d: packs of 4, tiles of 128x64, 256 blocks of 72 steps");
  set_tf32(true);
  EXPECT_EQ(plan_of(128, 64, 16, 128),
            "conv2d_max_pool2d: packs of 4 in TF32, tiles of 128x128, 256 blocks of 36 steps");
}

TEST_F(ConvPoolCuda, TreatsNansAndTiesAsPooling) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const Tensor one = tensor<float>({1, 1, nan, 2, -infinity, -infinity, 0, -0.0F,  //
                                    1, 1, 3, nan, -infinity, -infinity, -0.0F, 0},
                                   {1, 1, 2, 8}, cuda);
  const std::vector<Tensor> inputs = {one, tensor<float>({1, -1, 0.5, 2}, {4, 1, 1, 1}, cuda),
                                      tensor<float>({0, 0, 1, -1}, {4}, cuda)};
  // Packs: the others of the eight channels have no weight, and 0.
  std::vector<float> of_wide(8 * 16, 0.0F);
  const std::vector<float> of_one = one.to(cpu).to_vector<float>();
  std::copy(of_one.begin(), of_one.end(), of_wide.begin());
  std::vector<float> filters(32, 0.0F);
  filters[0] = 1;
  filters[8] = -1;
  filters[16] = 0.5F;
  filters[24] = 2;
  const std::vector<Tensor> packs = {tensor<float>(of_wide, {1, 8, 2, 8}, cuda),
                                     tensor<float>(filters, {4, 8, 1, 1}, cuda), inputs[2]};
  for (const auto& given : {inputs, packs}) {
    for (const bool with_relu : {true, false}) {
      for (const char* precision : {"float32", "tf32", "bfloat16"}) {
        SCOPED_TRACE(precision);
        set_tf32(precision == std::string("tf32"));
        Layers layers{
            .x = given[0].shape(), .weight = given[1].shape(), .relu = with_relu, .conv = {}};
        layers.dtype = precision == std::string("bfloat16") ? bfloat16 : float32;
        std::vector<Tensor> in;
        for (const Tensor& input : given) {
          in.push_back(input.to(layers.dtype));
        }
        expect_the_same(layers, in, true);
      }
    }
  }
}

// Blocks of several slabs of windows, and tiles that end beyond the result's rows and columns.
TEST_F(ConvPoolCuda, TilesOfAnySizeGiveTheSame) {
  const ConvGeometry geometry =
      conv_geometry("conv2d", Shape{3, 4, 16, 12}, Shape{132, 4, 1, 1}, Conv2dOptions().axes(), 1);
  const PoolGeometry pool{.batch = 3,
                          .channels = 132,
                          .height = 16,
                          .width = 12,
                          .out_height = 8,
                          .out_width = 6,
                          .kernel = 2,
                          .stride = 2,
                          .padding = 0,
                          .dilation = 1};
  manual_seed(5);
  const Tensor x = randn({3, 16, 12, 4}).to(cuda);
  const Tensor filters = randn({132, 4}).to(cuda);
  const auto made = [&](bool by_rows, int pack, const matrix::TileSize& tile) {
    Tensor y = Tensor::zeros({3 * 48 * 132}, float32, cuda);
    Tensor indices = Tensor::zeros({3 * 48 * 132}, uint8, cuda);
    const auto product = conv2d_products::forward_pooled(
        geometry, pool, x.data<float>(), filters.data<float>(), static_cast<const float*>(nullptr),
        true, by_rows, y.mutable_data<float>(), indices.mutable_data<uint8_t>());
    on_cuda::launch_product("product", gpu::current_stream(), product,
                            forced_plan(product, pack, tile, 1), static_cast<float*>(nullptr));
    std::vector<float> result = y.to(cpu).to_vector<float>();
    for (const uint8_t index : indices.to(cpu).to_vector<uint8_t>()) {
      result.push_back(index);
    }
    return result;
  };
  constexpr int depth = matrix::fma_depth;
  for (const bool by_rows : {false, true}) {
    const std::vector<float> small = made(by_rows, 4, {64, 64, depth});
    EXPECT_EQ(made(by_rows, 4, {128, 64, depth}), small);
    EXPECT_EQ(made(by_rows, 4, {128, 128, depth}), small);
    EXPECT_EQ(made(by_rows, 1, {128, 64, depth}), small);
  }
}

struct BiasGradient {
  std::vector<double> sums;
  std::vector<double> of_weight;
  uint64_t launches = 0;  // of the last of `walks` backward passes, which add to each other
};

BiasGradient bias_gradient_of(const Layers& layers, bool keeps, int walks) {
  const std::vector<Tensor> inputs = random_inputs(layers);
  const Parameter weight(inputs[1]);
  const Parameter bias(inputs[2].to(float32));
  BiasGradient result;
  for (int walk = 0; walk < walks; ++walk) {
    Tape tape;
    const DeferralScope scope;
    Tensor c = conv2d(inputs[0], weight.value(), bias.value(), layers.conv);
    const Tensor kept = keeps ? c : Tensor();
    if (keeps) {
      kept.raw_data();  // nothing waits for the pooling
    }
    Tensor y = layers.relu ? max_pool2d(relu(std::move(c)), layers.pool)
                           : max_pool2d(std::move(c), layers.pool);
    y = layers.flat ? flatten(std::move(y), 1) : y;
    manual_seed(7);
    const Tensor seed = randn(y.shape(), float32, cpu).to(layers.dtype).to(cuda);
    y.raw_data();
    const uint64_t before = gpu::launches;
    tape.backward(y, seed);
    result.launches = gpu::launches - before;
  }
  result.sums = numbers(bias.grad());
  result.of_weight = numbers(weight.grad());
  return result;
}

void expect_sums_in(DType dtype, Layers layers, int walks, bool by_pooling) {
  SCOPED_TRACE((dtype == float32 ? "tf32, " : "bfloat16, ") + layers.x.to_string() +
               std::to_string(layers.weight[0]));
  layers.dtype = dtype;
  set_tf32(dtype == float32);
  const BiasGradient one = bias_gradient_of(layers, false, walks);
  const BiasGradient three = bias_gradient_of(layers, true, walks);
  EXPECT_EQ(one.sums, three.sums);
  EXPECT_EQ(one.of_weight, three.of_weight);
  // The sums are one launch or, of more pixels, two.
  EXPECT_GE(three.launches, one.launches + (by_pooling ? 1 : 0));
  EXPECT_LE(three.launches, one.launches + (by_pooling ? 2 : 0));
}

void expect_sums(const Layers& layers, int walks, bool by_pooling) {
  for (const DType dtype : {float32, bfloat16}) {
    expect_sums_in(dtype, layers, walks, by_pooling);
  }
}

// In float32 nine tiles of windows for eight blocks of each 32 channels.
Layers many_tiles() {
  return {.x = {1, 8, 16, 18}, .weight = {2048, 8, 1, 1}, .conv = {}, .pool = {1}, .flat = true};
}

// Where the gradient of the filters is made on tensor cores, the pooling sums the bias's.
TEST_F(ConvPoolCuda, ThePoolingSumsTheGradientOfTheBias) {
  expect_sums({.x = {2, 8, 6, 6}, .weight = {16, 8, 3, 3}}, 1, true);
  expect_sums({.x = {3, 8, 8, 8}, .weight = {40, 8, 1, 1}, .conv = {}, .flat = true}, 1, true);
}

TEST_F(ConvPoolCuda, ThePoolingSumsOfAnyGeometry) {
  expect_sums({.x = {2, 8, 7, 5}, .weight = {72, 8, 1, 1}, .relu = false, .conv = {}}, 1, true);
  expect_sums({.x = {2, 8, 9, 9}, .weight = {8, 8, 1, 1}, .conv = {}, .pool = {3}}, 1, true);
  expect_sums_in(bfloat16, many_tiles(), 1, true);
}

TEST_F(ConvPoolCuda, ThePoolingSumsTilesOneAfterTheOther) {
  expect_sums_in(float32, many_tiles(), 1, true);
}

TEST_F(ConvPoolCuda, ThePoolingLeavesSumsToOthers) {
  expect_sums({.x = {2, 8, 6, 6}, .weight = {16, 8, 3, 3}}, 2, false);  // added to what is there
  expect_sums({.x = {2, 8, 6, 6}, .weight = {6, 8, 1, 1}, .conv = {}}, 1, false);  // no packs
  expect_sums({.x = {2, 8, 7, 7}, .weight = {8, 8, 1, 1}, .conv = {}, .pool = {3, 2}}, 1, false);
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
