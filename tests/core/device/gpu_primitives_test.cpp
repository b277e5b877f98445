// The primitives on "cuda" against the CPU's: sizes with heads and tails, views that begin between
// two packs, layouts that go through tiles and those that do not.

#include <cmath>
#include <limits>

#include "core/primitives.h"
#include "tests/core/device/gpu_test.h"

namespace warptape {
namespace {

constexpr MemoryFormat formats[] = {MemoryFormat::RowMajor, MemoryFormat::ChannelsLast};
constexpr DType dtypes[] = {float32, float64, uint8, int64};

class GpuPrimitives : public GpuTest {};

// 0, 1, ... 250, 0, 1, ... in logical order: numbers that every dtype holds.
Tensor counting(const Shape& shape, DType dtype, MemoryFormat format = MemoryFormat::RowMajor) {
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<double>(i % 251);
  }
  return primitives::relayout(primitives::cast(tensor(values, shape), dtype), format);
}

std::vector<double> values_of(const Tensor& x) {
  return primitives::cast(x.to(cpu), float64).to_vector<double>();
}

TEST_F(GpuPrimitives, FillWritesAllOfAViewAndNothingElse) {
  for (DType dtype : dtypes) {
    for (int64_t n : {1, 3, 31, 1025}) {
      Tensor x = counting({n + 2}, dtype).to(cuda);
      std::vector<double> wanted = values_of(x);
      std::fill(wanted.begin() + 1, wanted.end() - 1, 7.0);
      Tensor inside = x.slice(1, n + 1);
      primitives::fill(inside, 7);
      EXPECT_EQ(values_of(x), wanted) << to_string(dtype) << ", " << n;
    }
  }
}

TEST_F(GpuPrimitives, CopyAndAddGoByLogicalIndexBetweenAllFormats) {
  const std::vector<Shape> shapes{{},           {1025},        {2, 3, 5, 7},
                                  {2, 0, 3},    {2, 64, 6, 6}, {2, 33, 9, 5},
                                  {1, 132, 40}, {3, 8, 3, 12}};
  for (DType dtype : dtypes) {
    for (const Shape& shape : shapes) {
      for (MemoryFormat from_format : formats) {
        for (MemoryFormat to_format : formats) {
          const Tensor from = counting(shape, dtype, from_format).to(cuda);
          Tensor to = Tensor::empty(shape, dtype, cuda, to_format);
          primitives::copy(from, to);
          EXPECT_EQ(values_of(to), values_of(counting(shape, dtype))) << shape.to_string();
          if (is_floating(dtype)) {
            primitives::add(from, to);
            Tensor twice = counting(shape, dtype);
            primitives::add(counting(shape, dtype), twice);
            EXPECT_EQ(values_of(to), values_of(twice)) << shape.to_string();
          }
        }
      }
    }
  }
}

TEST_F(GpuPrimitives, CopyBetweenViewsOfDifferentAlignment) {
  const Tensor from = counting({1030}, float32).to(cuda);
  for (int64_t first : {0, 1, 2, 4}) {
    Tensor to = Tensor::zeros({1030}, float32, cuda);
    Tensor part = to.slice(2, 1027);
    primitives::copy(from.slice(first, first + 1025), part);
    std::vector<double> wanted(1030, 0.0);
    for (size_t i = 0; i < 1025; ++i) {
      wanted[i + 2] = static_cast<double>((i + static_cast<size_t>(first)) % 251);
    }
    EXPECT_EQ(values_of(to), wanted) << first;
  }
}

TEST_F(GpuPrimitives, CastBetweenAllDtypes) {
  for (DType from : dtypes) {
    for (DType to : dtypes) {
      for (int64_t n : {0, 33, 4096, 5001}) {
        const Tensor result = primitives::cast(counting({n}, from).to(cuda), to);
        EXPECT_EQ(result.dtype(), to);
        EXPECT_EQ(values_of(result), values_of(counting({n}, from)))
            << to_string(from) << " to " << to_string(to);
      }
    }
  }
}

TEST_F(GpuPrimitives, AllFiniteSeesEveryElement) {
  for (DType dtype : {float32, float64}) {
    EXPECT_TRUE(primitives::all_finite(counting({5000}, dtype).to(cuda)));
    for (int64_t at : {0, 1, 2500, 4999}) {
      for (double value : {std::nan(""), std::numeric_limits<double>::infinity()}) {
        Tensor x = counting({5000}, dtype).to(cuda);
        Tensor element = x.slice(at, at + 1);
        primitives::fill(element, value);
        EXPECT_FALSE(primitives::all_finite(x)) << at;
        EXPECT_TRUE(primitives::all_finite(x.slice(at + 1, 5000)));
      }
    }
  }
}

}  // namespace
}  // namespace warptape
