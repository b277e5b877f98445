// Slices, concatenation, stacks, permutations, padding, gather and where: what the case tables and
// PyTorch's values do not say. Every dtype bit for bit, storage that is shared, gradients of what
// was not taken, sums whose order is fixed.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "core/device/gpu.h"
#include "core/primitives.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "tests/core/expect_throws.h"
#include "tests/kernels/devices.h"

namespace warptape {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr MemoryFormat row_major = MemoryFormat::RowMajor;
constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

using Bytes = std::vector<uint8_t>;
using Operands = std::vector<Operand>;

// In logical order.
Bytes bytes_of(const Tensor& x) {
  const Tensor host = primitives::relayout(x.to(cpu), row_major);
  Bytes bytes(static_cast<size_t>(host.bytes()));
  if (!bytes.empty()) {
    std::memcpy(bytes.data(), host.raw_data(), bytes.size());
  }
  return bytes;
}

// Every byte as it comes, NaNs of all kinds among them.
Tensor any_bytes(const Shape& shape, DType dtype, uint64_t seed) {
  Tensor x = Tensor::empty(shape, dtype);
  auto* bytes = static_cast<uint8_t*>(x.mutable_raw_data());
  for (int64_t i = 0; i < x.bytes(); ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    bytes[i] = static_cast<uint8_t>(seed >> 56);
  }
  return x;
}

struct Movement {
  const char* name;
  std::vector<Shape> inputs;
  std::function<Tensor(const Operands&)> run;
};

std::vector<Movement> movements() {
  const auto condition = [](const Tensor& beside, const Shape& shape) {
    Bytes values(static_cast<size_t>(shape.numel()));
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = i % 3 == 0 ? 2 : 0;
    }
    return tensor(values, shape, beside.device());
  };
  const auto places = [](const Tensor& beside) {
    return tensor<int64_t>({2, 0, 1, 1, 2, 2, 0, 1, 0, 0, 2, 1}, {1, 1, 3, 4}, beside.device());
  };
  return {
      {"slice", {{3, 37}}, [](const Operands& in) { return slice(in[0], 1, 2, 36, 3); }},
      {"leading slice", {{5, 16}}, [](const Operands& in) { return slice(in[0], 0, 1, 4); }},
      {"slice of packs", {{2, 32, 3}}, [](const Operands& in) { return slice(in[0], 1, 16); }},
      {"concat", {{2, 3, 5}, {2, 4, 5}}, [](const Operands& in) { return concat(in, 1); }},
      {"concat of images",
       {{2, 16, 3, 3}, {2, 16, 3, 3}},
       [](const Operands& in) { return concat(in, 1); }},
      {"stack", {{3, 4, 5}, {3, 4, 5}}, [](const Operands& in) { return stack(in, -1); }},
      {"permute",
       {{2, 16, 3, 9}},
       [](const Operands& in) {
         return permute(in[0], {3, 1, 0, 2});
       }},
      {"transpose", {{33, 20}}, [](const Operands& in) { return transpose(in[0], 0, 1); }},
      {"pad",
       {{2, 3, 7}},
       [](const Operands& in) {
         return pad(in[0], {1, 2, -1, 1});
       }},
      {"pad of packs",
       {{2, 32, 3, 2}},
       [](const Operands& in) {
         return pad(in[0], {1, 0, 0, 1});
       }},
      {"gather",
       {{2, 3, 3, 5}},
       [=](const Operands& in) { return gather(in[0], 2, places(in[0])); }},
      {"where",
       {{2, 16, 3, 4}, {2, 16, 3, 4}},
       [=](const Operands& in) {
         return where(condition(in[0], {16, 3, 4}), in[0], in[1]);
       }},
  };
}

// Where each element of the result comes from is seen once, on whole numbers; 0 is none.
TEST(Moving, EveryDtypeMovesBitForBit) {
  for (const Movement& movement : movements()) {
    Operands numbered;
    int64_t count = 0;
    for (const Shape& shape : movement.inputs) {
      std::vector<int64_t> numbers(static_cast<size_t>(shape.numel()));
      for (int64_t& number : numbers) {
        number = ++count;
      }
      numbered.emplace_back(tensor(numbers, shape));
    }
    const std::vector<int64_t> origins = movement.run(numbered).to_vector<int64_t>();
    for (const DType dtype : {
#define WARPTAPE_DTYPE(dtype, T, name) DType::dtype,
             WARPTAPE_DTYPES(WARPTAPE_DTYPE)
#undef WARPTAPE_DTYPE
         }) {
      const auto size = static_cast<size_t>(size_of(dtype));
      for (const Device device : available_devices()) {
        for (const MemoryFormat format : {row_major, channels_last}) {
          SCOPED_TRACE(fmt::format("{} of {} on {}, {}", movement.name, to_string(dtype),
                                   to_string(device), to_string(format)));
          Bytes all(size, 0);
          Operands in;
          for (const Shape& shape : movement.inputs) {
            const Tensor x = any_bytes(shape, dtype, in.size() + 1);
            const Bytes bytes = bytes_of(x);
            all.insert(all.end(), bytes.begin(), bytes.end());
            in.emplace_back(primitives::relayout(x, format).to(device));
          }
          Bytes wanted;
          for (const int64_t origin : origins) {
            const auto first = all.begin() + origin * static_cast<int64_t>(size);
            wanted.insert(wanted.end(), first, first + static_cast<int64_t>(size));
          }
          EXPECT_EQ(bytes_of(movement.run(in)), wanted);
        }
      }
    }
  }
}

TEST(Moving, ResultsFollowTheFirstOperandsFormat) {
  const Tensor image = primitives::relayout(Tensor::ones({2, 3, 4, 5}), channels_last);
  const Tensor flat = Tensor::ones({2, 3, 4, 5});
  EXPECT_EQ(slice(image, 1, 1).memory_format(), channels_last);
  EXPECT_EQ(slice(image, 0, 1).memory_format(), channels_last);
  EXPECT_EQ(pad(image, {1, 1}).memory_format(), channels_last);
  EXPECT_EQ(concat({image, flat}, 1).memory_format(), channels_last);
  EXPECT_EQ(concat({flat, image}, 1).memory_format(), row_major);
  EXPECT_EQ(gather(image, 1, Tensor::zeros({2, 1, 4, 5}, int64)).memory_format(), channels_last);
  EXPECT_EQ((image > flat).memory_format(), channels_last);
  EXPECT_EQ(where(image > 0, Tensor::ones({}), image).memory_format(), channels_last);
  EXPECT_EQ(where(image > 0, Tensor::ones({}), Tensor::ones({})).memory_format(), channels_last);
  EXPECT_EQ(stack({image, image}).memory_format(), row_major);
  EXPECT_EQ(permute(image, {0, 1, 2, 3}).memory_format(), row_major);
}

// ---- slices -----------------------------------------------------------------------------------

TEST(Moving, SlicesShareStorageWhereTheyCan) {
  const Tensor x = Tensor::ones({4, 6});
  EXPECT_TRUE(slice(x, 0, 1, 3).shares_storage_with(x));
  EXPECT_TRUE(slice(x, -2, 1, 3).shares_storage_with(x));
  EXPECT_TRUE(slice(x, 1).shares_storage_with(x));
  EXPECT_FALSE(slice(x, 0, 0, 4, 2).shares_storage_with(x));
  EXPECT_FALSE(slice(x, 1, 0, 3).shares_storage_with(x));
}

// Two slices that overlap, one of which shares storage, and the whole beside them.
TEST(Moving, SlicesGiveTheirGradientsBack) {
  for (const Device device : available_devices()) {
    const Parameter x(tensor<float>({1, 2, 3, 4, 5, 6}, {3, 2}, device));
    Tape tape;
    const Tensor rows = slice(x, 0, 1, 3);
    const Tensor odd = slice(x, 0, 0, 3, 2);
    const Tensor column = slice(x, 1, -1);
    tape.backward(sum(rows * 1) + sum(odd * 10) + sum(column * 100) + sum(slice(x, 1) * 1000));
    EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{1010, 1110, 1001, 1101, 1011, 1111}))
        << to_string(device);
  }
}

// ---- lists ------------------------------------------------------------------------------------

TEST(Moving, ATensorMayComeTwice) {
  for (const Device device : available_devices()) {
    const Parameter x(tensor<float>({1, 2}, {2}, device));
    const Tensor other = tensor<float>({7}, {1}, device);
    const Tensor weights = tensor<float>({1, 10, 100, 1000, 10000}, {5}, device);
    Tape tape;
    const Tensor joined = concat({x, other, x}, 0);
    EXPECT_EQ(joined.to_vector<float>(), (std::vector<float>{1, 2, 7, 1, 2}));
    const Tensor stacked = stack({x, x}, 1);
    EXPECT_EQ(stacked.to_vector<float>(), (std::vector<float>{1, 1, 2, 2}));
    tape.backward(sum(joined * weights) +
                  sum(stacked * tensor<float>({1, 2, 3, 4}, {2, 2}, device)));
    EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{1001 + 3, 10010 + 7}));
  }
}

TEST(Moving, ListsAreTakenAsVectorsToo) {
  const std::vector<Tensor> tensors = {Tensor::ones({1, 2}), Tensor::zeros({2, 2})};
  EXPECT_EQ(concat(tensors).shape(), Shape({3, 2}));
  const std::vector<Parameter> parameters(3, Parameter(Tensor::ones({2})));
  EXPECT_EQ(stack(parameters, 1).shape(), Shape({2, 3}));
  const int line = __LINE__ + 1;
  expect_throws<ShapeError>([&] { stack(tensors); },
                            {"[stack]", "moving_test.cpp:" + std::to_string(line)});
}

// ---- where ------------------------------------------------------------------------------------

TEST(Moving, WhereKeepsNaNFromWhatWasNotTaken) {
  for (const Device device : available_devices()) {
    for (const Shape& scalar : {Shape{4}, Shape{}, Shape{1}}) {
      const Tensor condition = tensor<uint8_t>({1, 0, 0, 1}, {4}, device);
      const Parameter a(tensor<double>({1, nan, nan, 2}, {4}, device));
      const Parameter b(Tensor::full(scalar, 5, float64, device));
      Tape tape;
      const Tensor y = where(condition, a, b);
      EXPECT_EQ(y.to_vector<double>(), (std::vector<double>{1, 5, 5, 2}));
      // The gradient of what was not taken is 0, though dy is NaN there.
      tape.backward(y, tensor<double>({nan, 3, 4, 7}, {4}, device));
      const std::vector<double> da = a.grad().to_vector<double>();
      EXPECT_TRUE(std::isnan(da[0]));
      EXPECT_EQ((std::vector<double>{da[1], da[2], da[3]}), (std::vector<double>{0, 0, 7}));
      EXPECT_EQ(b.grad().to_vector<double>(),
                scalar.numel() == 1 ? (std::vector<double>{7}) : (std::vector<double>{0, 3, 4, 0}));
    }
  }
}

TEST(Moving, WhereOfOneTensorIsThatTensor) {
  for (const Device device : available_devices()) {
    const Parameter x(tensor<float>({1, 2, 3}, {3}, device));
    Tape tape;
    const Tensor y = where(tensor<uint8_t>({0, 1, 0}, {3}, device), x, x);
    EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{1, 2, 3}));
    tape.backward(y, tensor<float>({4, 5, 6}, {3}, device));
    EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{4, 5, 6}));
  }
}

TEST(Moving, WhereTakesScalarsOnEitherSide) {
  for (const Device device : available_devices()) {
    const Tensor x = tensor<float>({-1, 2, -3}, {3}, device);
    EXPECT_EQ(where(x > 0, x, 0).to_vector<float>(), (std::vector<float>{0, 2, 0}));
    EXPECT_EQ(where(x > 0, 0.5, x).to_vector<float>(), (std::vector<float>{-1, 0.5, -3}));
    const Tensor numbers = tensor<int64_t>({1, 2}, {2}, device);
    EXPECT_EQ(where(numbers == 2, numbers, -7).to_vector<int64_t>(), (std::vector<int64_t>{-7, 2}));
    expect_throws<ValueError>([&] { where(numbers == 2, numbers, 0.5); },
                              {"[where]", "0.5", "int64"});
  }
}

// A condition that begins at any byte, beside aligned tensors, and the other way round.
TEST(Moving, ConditionsBeginAtAnyByte) {
  for (const Device device : available_devices()) {
    Bytes values(80);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = i % 5 < 2 ? 1 : 0;
    }
    const Tensor all = tensor(values, {80}, device);
    for (const int64_t first : {0, 1, 2, 4, 7}) {
      const Tensor condition = slice(all, 0, first, first + 67);
      const Tensor y = where(condition, Tensor::ones({67}, float32, device), 2);
      const Tensor same = condition == 1;
      const Bytes at_same = same.to_vector<uint8_t>();
      const std::vector<float> at_y = y.to_vector<float>();
      for (size_t i = 0; i < 67; ++i) {
        const bool taken = values[i + static_cast<size_t>(first)] != 0;
        ASSERT_EQ(at_y[i], taken ? 1 : 2) << first << " " << i << " " << to_string(device);
        ASSERT_EQ(at_same[i], taken ? 1 : 0) << first << " " << i << " " << to_string(device);
      }
    }
  }
}

// ---- gather -----------------------------------------------------------------------------------

// Sums whose order shows: 1 is lost beside 1e30, unless that has gone. The last elements of a line
// are those of a thread that owns fewer.
TEST(Moving, GatherSumsInTheOrderOfTheIndex) {
  for (const Device device : available_devices()) {
    const Tensor index = tensor<int64_t>({2, 2, 0, 2, 2, 0, 2}, {7}, device);
    Tensor x = Tensor::ones({3}, float64, device);
    for (int run = 0; run < 2; ++run) {
      Tape tape;
      tape.watch(x);
      const Tensor y = gather(x, 0, index);
      tape.backward(y, tensor<double>({1, 1e30, 5, -1e30, 1, 6, 2}, {7}, device));
      EXPECT_EQ(tape.gradient(x).to_vector<double>(), (std::vector<double>{11, 0, 3}));
    }
    // In float64 whatever the dtype: 2^24 and 1 are a number of float32 no longer.
    Tensor narrow = Tensor::ones({1}, float32, device);
    Tape tape;
    tape.watch(narrow);
    const Tensor y = gather(narrow, 0, Tensor::zeros({3}, int64, device));
    tape.backward(y, tensor<float>({16777216, 1, 1}, {3}, device));
    EXPECT_EQ(tape.gradient(narrow).to_vector<float>()[0], 16777218) << to_string(device);
  }
}

// An index so long that chunks of it are summed for themselves: fractions whose sum rounds have the
// same bits on every device.
TEST(Moving, GatherSumsChunksAlike) {
  std::vector<int64_t> places(2 * 3001);
  std::vector<double> weights(places.size());
  double exact[6] = {};
  for (size_t i = 0; i < places.size(); ++i) {
    places[i] = static_cast<int64_t>(i * 5 % 7 % 3);
    weights[i] = 1.0 / static_cast<double>(i + 1);
    exact[i / 3001 * 3 + static_cast<size_t>(places[i])] += weights[i];
  }
  std::vector<double> first;
  for (const Device device : available_devices()) {
    Tensor x = Tensor::zeros({2, 3}, float64, device);
    for (int run = 0; run < 2; ++run) {  // written, then added to
      Tape tape;
      tape.watch(x);
      Tensor y = gather(x, 1, tensor(places, {2, 3001}, device));
      y = run == 0 ? y : y + gather(x, 1, tensor(places, {2, 3001}, device));
      tape.backward(y, tensor(weights, {2, 3001}, device));
      const std::vector<double> sums = tape.gradient(x).to_vector<double>();
      first = first.empty() ? sums : first;
      for (size_t i = 0; i < 6; ++i) {
        EXPECT_NEAR(sums[i], (run + 1) * exact[i], 1e-13 * exact[i]);
        EXPECT_EQ(sums[i], (run + 1) * first[i]) << to_string(device);
      }
    }
  }
}

// As many elements that a thread owns several, and lines that it does not divide.
TEST(Moving, GatherGivesBackToLongLines) {
  for (const Device device : available_devices()) {
    for (const int dim : {0, 1}) {
      const int64_t line = 2053;
      const Shape shape = dim == 0 ? Shape{line, 200} : Shape{200, line};
      const Shape of_index = dim == 0 ? Shape{3, 200} : Shape{200, 3};
      std::vector<int64_t> places(600);
      std::vector<float> wanted(static_cast<size_t>(shape.numel()), 0);
      std::vector<float> weights(600);
      for (int64_t i = 0; i < 600; ++i) {
        const auto at = static_cast<size_t>(i);
        const int64_t number = dim == 0 ? i % 200 : i / 3;
        places[at] = i % 7 == 0 ? line - 1 : i * 389 % line;
        weights[at] = static_cast<float>(i + 1);
        wanted[static_cast<size_t>(dim == 0 ? places[at] * 200 + number
                                            : number * line + places[at])] += weights[at];
      }
      Tensor x = Tensor::zeros(shape, float32, device);
      Tape tape;
      tape.watch(x);
      const Tensor y = gather(x, dim, tensor(places, of_index, device));
      tape.backward(y, tensor(weights, of_index, device));
      EXPECT_EQ(tape.gradient(x).to_vector<float>(), wanted) << dim << " " << to_string(device);
    }
  }
}

// "cuda" says so with the next synchronisation, the CPU at once; the same words.
TEST(Moving, GatherNamesABadIndex) {
  for (const Device device : available_devices()) {
    const Tensor x = primitives::relayout(Tensor::zeros({2, 5, 2}), channels_last).to(device);
    const Tensor index = tensor<int64_t>({0, 4, 0, 0, 1, 5, 2, 3}, {2, 2, 2}, device);
    expect_throws<ValueError>([&] { gather(x, 1, index).to_vector<float>(); },
                              {"[gather] index 5: got 5, wanted 0 to 4"});
    EXPECT_EQ(gather(x, 1, Tensor::zeros({2, 1, 2}, int64, device)).to_vector<float>(),
              std::vector<float>(4, 0));
  }
}

}  // namespace
}  // namespace warptape
