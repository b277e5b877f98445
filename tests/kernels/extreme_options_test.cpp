// Options and shapes at the ends of 64 bits: every op takes them for what they are, or refuses them
// by an error that names the op. None may overflow.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <climits>
#include <functional>

#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "models/simple_cnn.h"
#include "tests/core/expect_throws.h"
#include "tests/kernels/perceptron.h"

namespace warptape {
namespace {

constexpr int64_t largest = int64_t{1} << 28;  // that convolutions take
constexpr int64_t far_values[] = {0, -1, INT64_MAX, INT64_MIN, INT64_MAX / 2, INT64_MIN / 2};

std::vector<Device> devices() {
  return is_available(DeviceType::CUDA) ? std::vector<Device>{cpu, {DeviceType::CUDA, 0}}
                                        : std::vector<Device>{cpu};
}

// Runs an op with one option at each of the values. Those that are not in `taken` must be refused
// by an error that names the op.
void sweep(const char* op, const char* option, const std::vector<int64_t>& taken,
           const std::function<void(int64_t)>& run) {
  for (const int64_t value : far_values) {
    SCOPED_TRACE(fmt::format("{} of {} = {}", option, op, value));
    const bool is_taken = std::find(taken.begin(), taken.end(), value) != taken.end();
    try {
      run(value);
      EXPECT_TRUE(is_taken) << "it was taken";
    } catch (const Error& error) {
      EXPECT_FALSE(is_taken) << error.what();
      EXPECT_EQ(std::string(error.what()).rfind(fmt::format("[{}] ", op), 0), 0U) << error.what();
    }
  }
}

TEST(ExtremeOptions, OfConvolutions) {
  for (const Device device : devices()) {
    const Tensor x = Tensor::ones({1, 2, 4, 4}, float32, device);
    const Tensor w = Tensor::ones({2, 2, 2, 2}, float32, device);
    const Tensor point = Tensor::ones({2, 2, 1, 1}, float32, device);
    for (const Tensor& filters : {w, point}) {
      const auto run = [&](Conv2dOptions options) { conv2d(x, filters, Tensor(), options); };
      sweep("conv2d", "stride height", {}, [&](int64_t v) { run({.stride = {v, 1}}); });
      sweep("conv2d", "stride width", {}, [&](int64_t v) { run({.stride = {1, v}}); });
      sweep("conv2d", "padding height", {0}, [&](int64_t v) { run({.padding = {v, 1}}); });
      sweep("conv2d", "padding width", {0}, [&](int64_t v) { run({.padding = {1, v}}); });
      sweep("conv2d", "top", {0}, [&](int64_t v) { run({.padding = Sides2d{.top = v}}); });
      sweep("conv2d", "bottom", {0}, [&](int64_t v) { run({.padding = Sides2d{.bottom = v}}); });
      sweep("conv2d", "left", {0}, [&](int64_t v) { run({.padding = Sides2d{.left = v}}); });
      sweep("conv2d", "right", {0}, [&](int64_t v) { run({.padding = Sides2d{.right = v}}); });
      for (const Sides2d& sides : {Sides2d{.top = largest + 1}, Sides2d{.bottom = largest + 1},
                                   Sides2d{.left = largest + 1}, Sides2d{.right = largest + 1}}) {
        expect_throws<ValueError>([&] { run({.padding = sides}); },
                                  {"padding: got 268435457, wanted at most 268435456"});
      }
      sweep("conv2d", "dilation and padding same", {},
            [&](int64_t v) { run({.padding = Padding2d::same(), .dilation = v}); });
      sweep("conv2d", "dilation height", {}, [&](int64_t v) { run({.dilation = {v, 1}}); });
      sweep("conv2d", "dilation width", {}, [&](int64_t v) { run({.dilation = {1, v}}); });
      sweep("conv2d", "groups", {}, [&](int64_t v) { run({.groups = v}); });
      // Each for itself is small enough; together they wrap around in 64 bits, or in 32.
      for (const int64_t v : {int64_t{1} << 62, int64_t{1} << 32, int64_t{1} << 31}) {
        expect_throws<ValueError>([&] { run({.padding = v, .dilation = v}); }, {"[conv2d]"});
      }
    }
    // The largest that are taken give what they should.
    const Tensor y = conv2d(x, point, Tensor(), {.stride = largest, .dilation = largest});
    EXPECT_EQ(y.shape(), Shape({1, 2, 1, 1}));
    EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{2, 2}));
    const Tensor padded = conv2d(x, point, Tensor(), {.stride = largest, .padding = largest});
    EXPECT_EQ(padded.shape(), Shape({1, 2, 3, 3}));
    EXPECT_EQ(padded.to_vector<float>(),
              (std::vector<float>{0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0}));
    expect_throws<ShapeError>([&] { conv2d(x, w, Tensor(), {.dilation = largest}); },
                              {"[conv2d] input height", "268435457"});
    Tape tape;
    Tensor watched = x;
    tape.watch(watched);
    tape.backward(sum(conv2d(watched, point, Tensor(), {.stride = largest, .padding = largest})));
    std::vector<float> wanted(32, 0);
    wanted[0] = 2;
    wanted[16] = 2;
    EXPECT_EQ(tape.gradient(watched).to_vector<float>(), wanted);
  }
}

TEST(ExtremeOptions, OfTransposedConvolutions) {
  for (const Device device : devices()) {
    const Tensor x = Tensor::ones({1, 2, 4}, float32, device);
    const Tensor w = Tensor::ones({2, 2, 2}, float32, device);
    const char* op = "conv_transpose1d";
    const auto run = [&](ConvTranspose1dOptions options) {
      conv_transpose1d(x, w, Tensor(), options);
    };
    sweep(op, "stride", {}, [&](int64_t v) { run({.stride = v}); });
    sweep(op, "padding", {0}, [&](int64_t v) { run({.padding = v}); });
    sweep(op, "left", {0}, [&](int64_t v) { run({.padding = Sides1d{.left = v}}); });
    sweep(op, "right", {0}, [&](int64_t v) { run({.padding = Sides1d{.right = v}}); });
    sweep(op, "output_padding", {0}, [&](int64_t v) { run({.output_padding = v}); });
    sweep(op, "dilation", {}, [&](int64_t v) { run({.dilation = v}); });
    sweep(op, "dilation and output_padding", {},
          [&](int64_t v) { run({.output_padding = v - 1, .dilation = v}); });
    sweep(op, "groups", {}, [&](int64_t v) { run({.groups = v}); });
    // The largest that are taken give what they should.
    constexpr int64_t largest = int64_t{1} << 28;
    const Tensor one = Tensor::ones({1, 2, 1}, float32, device);
    const Tensor y = conv_transpose1d(
        one, w, Tensor(), {.padding = Sides1d{.right = largest - 1}, .dilation = largest});
    EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{2, 0, 2, 0}));
  }
}

TEST(ExtremeOptions, OfPoolsOfSequences) {
  for (const Device device : devices()) {
    const Tensor x = Tensor::ones({1, 2, 4}, float32, device);
    const auto of_max = [&](MaxPool1dOptions options) { max_pool1d(x, options); };
    sweep("max_pool1d", "kernel", {}, [&](int64_t v) { of_max({.kernel_size = v}); });
    sweep("max_pool1d", "stride", {0}, [&](int64_t v) { of_max({.stride = v}); });
    sweep("max_pool1d", "padding", {0}, [&](int64_t v) { of_max({.padding = v}); });
    sweep("max_pool1d", "dilation", {}, [&](int64_t v) { of_max({.dilation = v}); });
    const auto of_mean = [&](AvgPool1dOptions options) { avg_pool1d(x, options); };
    sweep("avg_pool1d", "kernel", {}, [&](int64_t v) { of_mean({.kernel_size = v}); });
    sweep("avg_pool1d", "stride", {0}, [&](int64_t v) { of_mean({.stride = v}); });
    sweep("adaptive_avg_pool1d", "output_size", {}, [&](int64_t v) { adaptive_avg_pool1d(x, v); });
    sweep("adaptive_max_pool1d", "output_size", {}, [&](int64_t v) { adaptive_max_pool1d(x, v); });
    sweep("embedding", "padding_idx", {0, -1}, [&](int64_t v) {
      embedding(Tensor::zeros({2}, int64, device), Tensor::ones({3, 2}, float32, device),
                {.padding_idx = v});
    });
  }
}

TEST(ExtremeOptions, OfPools) {
  for (const Device device : devices()) {
    const Tensor x = Tensor::ones({1, 2, 4, 4}, float32, device);
    const auto sweep_max = [&](const char* op, const auto& pool) {
      using O = MaxPool2dOptions;
      sweep(op, "kernel height", {}, [&](int64_t v) { pool(O{.kernel_size = {v, 2}}); });
      sweep(op, "kernel width", {}, [&](int64_t v) { pool(O{.kernel_size = {2, v}}); });
      sweep(op, "kernel", {}, [&](int64_t v) { pool(O{.kernel_size = v}); });
      sweep(op, "stride height", {}, [&](int64_t v) { pool(O{.stride = {v, 1}}); });
      sweep(op, "stride width", {}, [&](int64_t v) { pool(O{.stride = {1, v}}); });
      sweep(op, "padding height", {0}, [&](int64_t v) { pool(O{.padding = {v, 0}}); });
      sweep(op, "padding", {0}, [&](int64_t v) { pool(O{.padding = v, .ceil_mode = true}); });
      sweep(op, "dilation height", {}, [&](int64_t v) { pool(O{.dilation = {v, 1}}); });
      sweep(op, "dilation width", {}, [&](int64_t v) { pool(O{.dilation = {1, v}}); });
      sweep(op, "kernel and padding", {},
            [&](int64_t v) { pool(O{.kernel_size = v, .padding = v / 2, .ceil_mode = true}); });
    };
    sweep_max("max_pool2d", [&](MaxPool2dOptions o) { max_pool2d(x, o); });
    sweep_max("max_pool2d", [&](MaxPool2dOptions o) { relu_max_pool2d(x, o); });
    using O = AvgPool2dOptions;
    const auto pool = [&](O options) { avg_pool2d(x, options); };
    sweep("avg_pool2d", "kernel", {}, [&](int64_t v) { pool({.kernel_size = {v, 2}}); });
    sweep("avg_pool2d", "stride", {}, [&](int64_t v) { pool({.stride = {1, v}}); });
    sweep("avg_pool2d", "padding", {0}, [&](int64_t v) { pool({.padding = {v, 0}}); });
    // A window of more elements than 32 bits can count.
    constexpr int64_t wide = int64_t{1} << 17;
    expect_throws<ValueError>([&] { pool({.kernel_size = wide, .padding = wide / 2}); },
                              {"[avg_pool2d] kernel_size", "2^31"});
    EXPECT_EQ(avg_pool2d(x, {.kernel_size = 2, .stride = int64_t{1} << 28}).to_vector<float>(),
              (std::vector<float>{1, 1}));
  }
}

TEST(ExtremeOptions, OfShapes) {
  const Tensor x = Tensor::ones({2, 3});
  sweep("reshape", "the only size", {-1}, [&](int64_t v) { reshape(x, {v}); });
  sweep("reshape", "a size beside another", {-1}, [&](int64_t v) { reshape(x, {v, 3}); });
  sweep("reshape", "a size beside -1", {}, [&](int64_t v) { reshape(x, {v, -1}); });
  sweep("reshape", "two sizes", {}, [&](int64_t v) { reshape(x, {v, v}); });
  sweep("view", "size", {}, [&](int64_t v) {
    // A shape itself takes no negative size.
    x.view(v < 0 ? Shape{INT64_MAX} : Shape{v});
  });
  sweep("slice", "begin", {0}, [&](int64_t v) { x.slice(v, 2); });
  sweep("slice", "end", {0}, [&](int64_t v) { x.slice(0, v); });
  // Python's bounds may be any, as long as there are elements between them.
  for (const Device device : devices()) {
    Tensor on_device = x.to(device);
    Tape tape;
    tape.watch(on_device);
    for (const int dim : {0, 1}) {
      const std::vector<int64_t> all(std::begin(far_values), std::end(far_values));
      sweep("slice", "start", all, [&](int64_t v) { slice(on_device, dim, v); });
      sweep("slice", "end", all, [&](int64_t v) { slice(on_device, dim, 0, v); });
      sweep("slice", "step", {INT64_MAX, INT64_MAX / 2}, [&](int64_t v) {
        const Tensor first = slice(on_device, dim, 0, std::nullopt, v);
        EXPECT_EQ(first.shape()[dim], 1);
        tape.backward(sum(first), {.keep = true});
      });
      EXPECT_EQ(slice(on_device, dim, INT64_MIN, INT64_MAX).numel(), 6);
    }
    sweep("pad", "before", {0, -1}, [&](int64_t v) { pad(on_device, {v, 0}); });
    sweep("pad", "behind", {0, -1}, [&](int64_t v) { pad(on_device, {0, v}); });
    sweep("pad", "both", {0, -1}, [&](int64_t v) { pad(on_device, {v, v}); });
    // What one side adds the other takes away, with all that there was.
    const Tensor none = pad(on_device, {INT64_MAX / 2, -INT64_MAX / 2}, 7);
    EXPECT_EQ(none.to_vector<float>(), std::vector<float>(6, 7));
    tape.backward(sum(none));
  }
  sweep("Shape", "size", {0, INT64_MAX, INT64_MAX / 2}, [&](int64_t v) { Shape{v}; });
  sweep("Tensor", "size", {0},
        [&](int64_t v) { Tensor::empty(v < 0 ? Shape{INT64_MAX} : Shape{v}); });
  sweep("Tensor", "size beside 0", {0}, [&](int64_t v) {
    Tensor::empty(v < 0 ? Shape{INT64_MAX, 0} : Shape{v, 0});
  });
}

TEST(ExtremeOptions, OfDimensions) {
  const Tensor x = Tensor::ones({2, 3});
  const Tensor scalar = Tensor::ones({});
  for (const int dim : {2, -3, INT_MAX, INT_MIN, INT_MAX / 2}) {
    const std::vector<std::pair<const char*, std::function<void(const Tensor&)>>> ops{
        {"sum", [&](const Tensor& t) { sum(t, {dim}); }},
        {"mean", [&](const Tensor& t) { mean(t, {dim}); }},
        {"max", [&](const Tensor& t) { max(t, {dim}); }},
        {"argmax", [&](const Tensor& t) { argmax(t, dim); }},
        {"softmax", [&](const Tensor& t) { softmax(t, dim); }},
        {"log_softmax", [&](const Tensor& t) { log_softmax(t, dim); }},
        {"transpose", [&](const Tensor& t) { transpose(t, 0, dim); }},
        {"transpose", [&](const Tensor& t) { transpose(t, dim, 0); }},
        {"slice", [&](const Tensor& t) { slice(t, dim); }},
        {"concat",
         [&](const Tensor& t) {
           concat({t, t}, dim);
         }},
        {"gather", [&](const Tensor& t) { gather(t, dim, Tensor::zeros(t.shape(), int64)); }}};
    for (const auto& [op, run] : ops) {
      const std::string name = fmt::format("[{}]", op);
      expect_throws<ShapeError>([&] { run(x); }, {name, std::to_string(dim), "-2 to 1"});
      expect_throws<ShapeError>([&] { run(scalar); }, {name, "scalar"});
    }
    expect_throws<ShapeError>([&] { permute(x, {dim, 0}); }, {"[permute]", "-2 to 1"});
    expect_throws<ShapeError>(
        [&] {
          stack({x, x}, dim == 2 || dim == -3 ? 2 * dim : dim);
        },
        {"[stack]", "-3 to 2"});
    expect_throws<ShapeError>([&] { flatten(x, dim, 1); }, {"[flatten]", "-2 to 1"});
    expect_throws<ShapeError>([&] { flatten(x, 0, dim); }, {"[flatten]", "-2 to 1"});
  }
}

TEST(ExtremeOptions, OfResultsThatCannotBeCounted) {
  constexpr int64_t huge = int64_t{1} << 40;
  const Tensor column = Tensor::empty({huge, 0});
  const Tensor row = Tensor::empty({0, huge});
  const std::string size = std::to_string(huge);
  expect_throws<ShapeError>([&] { matmul(column, row); }, {"[matmul] output", size});
  expect_throws<ShapeError>([&] { linear(column, column); }, {"[linear] output", size});
  const Tensor wide = Tensor::empty({1, huge, 0});
  const Tensor tall = Tensor::empty({huge, 1, 0});
  expect_throws<ShapeError>([&] { add(wide, tall); }, {"[add]", size});
  expect_throws<ShapeError>([&] { mul(wide, tall); }, {"[mul]", size});
  expect_throws<ShapeError>([&] { sub(wide, tall); }, {"[sub]", size});
  expect_throws<ShapeError>([&] { div(wide, tall); }, {"[div]", size});
  expect_throws<ShapeError>([&] { lt(wide, tall); }, {"[lt]", size});
  expect_throws<ShapeError>([&] { where(Tensor::zeros({}, uint8), wide, tall); },
                            {"[where]", size});
  expect_throws<ShapeError>([&] { pad(column, {huge, 0}); }, {"[pad]", size});
  const Tensor longest = Tensor::empty({0, int64_t{1} << 60});
  expect_throws<ShapeError>([&] { stack({longest, longest}); }, {"[stack] output"});
  expect_throws<ShapeError>(
      [&] {
        matmul(Tensor::empty({huge, 1, 0, 1}), Tensor::empty({1, huge, 1, 0}));
      },
      {"[matmul]", size});
}

TEST(ExtremeOptions, OfOpsOnImages) {
  ImageTransform transform;
  const Tensor images = Tensor::zeros({1, 1, 2, 2}, uint8);
  const Tensor numbers = Tensor::zeros({1}, int64);
  sweep("image_batch", "image_size", {}, [&](int64_t v) {
    transform.image_size = v;
    image_batch(images, numbers, numbers, transform);
  });
}

TEST(ExtremeOptions, OfCrossEntropy) {
  const Tensor logits = Tensor::zeros({2, 3});
  for (const int64_t label : far_values) {
    const Tensor labels = tensor<int64_t>({label, 1}, {2});
    if (label != 0) {
      expect_throws<ValueError>([&] { cross_entropy(logits, labels); },
                                {"[cross_entropy]", std::to_string(label)});
    }
    const double loss = cross_entropy(logits, labels, {.ignore_index = label}).item();
    EXPECT_NEAR(loss, std::log(3.0), 1e-6) << "ignore_index " << label;
  }
}

// Nothing is multiplied; the bias is all there is, and has its gradient.
TEST(ExtremeOptions, ProductsOfNoInputs) {
  for (const Device device : devices()) {
    SCOPED_TRACE(to_string(device));
    const auto zeros = [&](const Shape& shape) { return Tensor::zeros(shape, float32, device); };
    Parameter bias(tensor<float>({1, 2, 3}, {3}, device));
    Tensor filters = zeros({3, 0, 2, 2});
    Tensor matrix = zeros({3, 0});
    Tape tape;
    tape.watch(filters);
    tape.watch(matrix);
    const Tensor pixels = conv2d(zeros({2, 0, 3, 4}), filters, bias);
    const Tensor rows = linear(zeros({5, 0}), matrix, bias);
    EXPECT_EQ(rows.to_vector<float>()[4], 2);
    tape.backward(add(sum(pixels), sum(rows)));
    EXPECT_EQ(bias.grad().to_vector<float>(), std::vector<float>(3, 2 * 2 * 3 + 5));
    EXPECT_EQ(tape.gradient(filters).shape(), filters.shape());
  }
}

TEST(ExtremeOptions, OfLayers) {
  sweep("Linear", "in_features", {}, [](int64_t v) { Linear(v, 2); });
  sweep("Linear", "out_features", {}, [](int64_t v) { Linear(2, v); });
  sweep("Linear", "both", {}, [](int64_t v) { Linear(v, v); });
  using O = Conv2d::Options;
  sweep("Conv2d", "in_channels", {},
        [](int64_t v) { Conv2d(O{.in_channels = v, .out_channels = 2, .kernel_size = 3}); });
  sweep("Conv2d", "out_channels", {},
        [](int64_t v) { Conv2d(O{.in_channels = 2, .out_channels = v, .kernel_size = 3}); });
  sweep("Conv2d", "kernel_size", {}, [](int64_t v) {
    Conv2d(O{.in_channels = 1, .out_channels = 1, .kernel_size = {v, 1}});
  });
  sweep("Conv2d", "groups", {}, [](int64_t v) {
    Conv2d(O{.in_channels = 1, .out_channels = 1, .kernel_size = 1, .groups = v});
  });
  for (const int64_t v : far_values) {
    EXPECT_THROW(SimpleCNN(SimpleCNN::Options{.input_channels = v}), Error);
    EXPECT_THROW(SimpleCNN(SimpleCNN::Options{.num_classes = v}), Error);
    EXPECT_THROW(SimpleCNN(SimpleCNN::Options{.image_size = v}), ValueError);
  }
}

}  // namespace
}  // namespace warptape
