#include "core/primitives.h"

#include <cmath>
#include <numeric>

#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

constexpr MemoryFormat formats[] = {MemoryFormat::RowMajor, MemoryFormat::ChannelsLast};

// 0, 1, 2, ... in logical order.
Tensor counting(const Shape& shape, MemoryFormat format = MemoryFormat::RowMajor) {
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  std::iota(values.begin(), values.end(), 0.0);
  return primitives::relayout(tensor(values, shape), format);
}

// One dimension, a small image, a sequence, no elements, a scalar, and enough for several threads.
const std::vector<Shape> shapes{{5}, {2, 3, 4, 5}, {2, 3, 4}, {2, 0, 3}, {}, {3, 7, 50, 41}};

TEST(Primitives, FillWritesEveryElementOfEveryDtype) {
  for (DType dtype : {float32, float64, uint8, int64}) {
    Tensor x = Tensor::empty({3, 4}, dtype);
    primitives::fill(x, 7);
    EXPECT_EQ(primitives::cast(x, float64).to_vector<double>(), std::vector<double>(12, 7.0));
  }
}

TEST(Primitives, FillOfASliceLeavesTheRest) {
  Tensor x = Tensor::zeros({3, 2});
  Tensor middle = x.slice(1, 2);
  primitives::fill(middle, 4);
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{0, 0, 4, 4, 0, 0}));
}

TEST(Primitives, CopyGoesByLogicalIndexBetweenAllFormats) {
  for (const Shape& shape : shapes) {
    for (MemoryFormat from_format : formats) {
      for (MemoryFormat to_format : formats) {
        const Tensor from = counting(shape, from_format);
        Tensor to = Tensor::empty(shape, float64, cpu, to_format);
        primitives::fill(to, -1);
        primitives::copy(from, to);
        EXPECT_EQ(to.memory_format(), normalized(to_format, shape.rank()));
        EXPECT_EQ(to.to_vector<double>(), counting(shape).to_vector<double>()) << shape.to_string();
      }
    }
  }
}

TEST(Primitives, CopyWorksForEveryDtype) {
  for (DType dtype : {float32, float64, uint8, int64}) {
    const Tensor from = primitives::cast(counting({2, 3, 4}, MemoryFormat::ChannelsLast), dtype);
    Tensor to = Tensor::zeros({2, 3, 4}, dtype);
    primitives::copy(from, to);
    EXPECT_EQ(primitives::cast(to, float64).to_vector<double>(),
              counting({2, 3, 4}).to_vector<double>());
  }
}

TEST(Primitives, AddGoesByLogicalIndexBetweenAllFormats) {
  for (const Shape& shape : shapes) {
    for (MemoryFormat from_format : formats) {
      for (MemoryFormat to_format : formats) {
        const Tensor from = counting(shape, from_format);
        Tensor to = Tensor::empty(shape, float64, cpu, to_format);
        primitives::fill(to, 0.5);
        primitives::add(from, to);
        std::vector<double> wanted = counting(shape).to_vector<double>();
        for (double& value : wanted) {
          value += 0.5;
        }
        EXPECT_EQ(to.to_vector<double>(), wanted) << shape.to_string();
      }
    }
  }
}

TEST(Primitives, CopyAndAddWriteToTheirTargetOnly) {
  const Tensor from = counting({4});
  Tensor to = counting({4});
  const uint64_t from_version = from.version();
  const uint64_t to_version = to.version();
  primitives::copy(from, to);
  EXPECT_GT(to.version(), to_version);
  const uint64_t after_copy = to.version();
  primitives::add(from, to);
  EXPECT_GT(to.version(), after_copy);
  EXPECT_EQ(from.version(), from_version);
}

TEST(Primitives, CopyAndAddRefuseOtherShapesAndDtypes) {
  Tensor to = Tensor::zeros({3});
  expect_throws<ShapeError>(
      [&] {
        primitives::copy(Tensor::zeros({3, 1}), to);
      },
      {"[copy]", "(3, 1)", "(3,)"});
  expect_throws<DTypeError>([&] { primitives::copy(Tensor::zeros({3}, float64), to); },
                            {"[copy]", "float64", "float32"});
  expect_throws<ShapeError>([&] { primitives::add(Tensor::zeros({1}), to); }, {"[add]", "(1,)"});
  Tensor integers = Tensor::zeros({3}, int64);
  expect_throws<DTypeError>([&] { primitives::add(integers, integers); }, {"int64"});
}

TEST(Primitives, RelayoutMovesElementsInMemoryOnly) {
  const Tensor x = counting({1, 2, 1, 3});
  const Tensor y = primitives::relayout(x, MemoryFormat::ChannelsLast);
  EXPECT_FALSE(y.shares_storage_with(x));
  const std::vector<double> in_memory(y.data<double>(), y.data<double>() + 6);
  EXPECT_EQ(in_memory, (std::vector<double>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(y.to_vector<double>(), x.to_vector<double>());
  const Tensor back = primitives::relayout(y, MemoryFormat::RowMajor);
  const std::vector<double> back_in_memory(back.data<double>(), back.data<double>() + 6);
  EXPECT_EQ(back_in_memory, x.to_vector<double>());
}

TEST(Primitives, RelayoutToTheSameFormatSharesTheStorage) {
  const Tensor images = counting({1, 2, 1, 3}, MemoryFormat::ChannelsLast);
  EXPECT_TRUE(primitives::relayout(images, MemoryFormat::ChannelsLast).shares_storage_with(images));
  const Tensor matrix = counting({2, 3});
  EXPECT_TRUE(primitives::relayout(matrix, MemoryFormat::ChannelsLast).shares_storage_with(matrix));
}

TEST(Primitives, CastConvertsAsCpp) {
  const Tensor x = tensor<double>({1.75, -1.75, 250}, {3});
  EXPECT_EQ(primitives::cast(x, int64).to_vector<int64_t>(), (std::vector<int64_t>{1, -1, 250}));
  EXPECT_EQ(primitives::cast(x, float32).to_vector<float>(),
            (std::vector<float>{1.75F, -1.75F, 250}));
  const Tensor bytes = tensor<uint8_t>({0, 255}, {2});
  EXPECT_EQ(primitives::cast(bytes, float32).to_vector<float>(), (std::vector<float>{0, 255}));
  EXPECT_EQ(primitives::cast(tensor<double>({0.1}, {1}), float32).to_vector<float>()[0], 0.1F);
}

TEST(Primitives, CastKeepsTheFormat) {
  const Tensor x = counting({1, 2, 1, 3}, MemoryFormat::ChannelsLast);
  const Tensor y = primitives::cast(x, float32);
  EXPECT_EQ(y.memory_format(), MemoryFormat::ChannelsLast);
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{0, 1, 2, 3, 4, 5}));
}

TEST(Primitives, CastToTheSameDtypeSharesTheStorage) {
  const Tensor x = counting({2});
  EXPECT_TRUE(primitives::cast(x, float64).shares_storage_with(x));
  EXPECT_FALSE(primitives::cast(x, float32).shares_storage_with(x));
}

TEST(Primitives, AllFiniteFindsNansAndInfinities) {
  EXPECT_TRUE(primitives::all_finite(tensor<float>({0, -1, 3e38F}, {3})));
  EXPECT_FALSE(primitives::all_finite(tensor<float>({0, NAN}, {2})));
  EXPECT_FALSE(primitives::all_finite(tensor<double>({INFINITY, 0}, {2})));
  EXPECT_FALSE(primitives::all_finite(tensor<double>({0, -INFINITY}, {2})));
  EXPECT_TRUE(primitives::all_finite(Tensor::zeros({0})));
  EXPECT_THROW(primitives::all_finite(Tensor::zeros({1}, int64)), DTypeError);
}

}  // namespace
}  // namespace warptape
