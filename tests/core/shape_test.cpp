#include "core/shape.h"

#include <climits>
#include <sstream>

#include "core/check.h"
#include "core/device/device.h"
#include "core/dtype.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

TEST(Shapes, ScalarHasRankZeroAndOneElement) {
  const Shape scalar;
  EXPECT_EQ(scalar.rank(), 0);
  EXPECT_EQ(scalar.numel(), 1);
  EXPECT_EQ(scalar.begin(), scalar.end());
}

TEST(Shapes, NumelIsTheProductOfSizes) {
  EXPECT_EQ(Shape({2, 3, 4}).numel(), 24);
  EXPECT_EQ(Shape({7}).numel(), 7);
  EXPECT_EQ(Shape({5, 0, 3}).numel(), 0);
}

TEST(Shapes, CanBeMadeFromAVector) {
  const std::vector<int64_t> sizes{4, 5};
  EXPECT_EQ(Shape(sizes), Shape({4, 5}));
}

TEST(Shapes, PrintAsPythonTuples) {
  EXPECT_EQ(Shape().to_string(), "()");
  EXPECT_EQ(Shape({3}).to_string(), "(3,)");
  EXPECT_EQ(Shape({2, 0, 4}).to_string(), "(2, 0, 4)");
  EXPECT_EQ(fmt::format("{}", Shape({2, 3})), "(2, 3)");
}

TEST(Shapes, EqualityComparesRankAndSizes) {
  EXPECT_EQ(Shape({2, 3}), Shape({2, 3}));
  EXPECT_FALSE(Shape({2, 3}) == Shape({3, 2}));
  EXPECT_FALSE(Shape({2, 3}) == Shape({2, 3, 1}));
  EXPECT_FALSE(Shape() == Shape({1}));
}

TEST(Shapes, SizesCanBeReadWrittenAndAppended) {
  Shape shape{2, 3};
  shape[1] = 9;
  shape.append(4);
  EXPECT_EQ(shape, Shape({2, 9, 4}));
}

TEST(Shapes, DimensionsCountFromTheEndWhenNegative) {
  Shape shape{2, 3};
  EXPECT_EQ(shape[-1], 3);
  EXPECT_EQ(shape[-2], 2);
  shape[-1] = 5;
  EXPECT_EQ(shape, Shape({2, 5}));
}

TEST(Shapes, DimensionsOutOfRangeAreErrors) {
  Shape shape{2, 3};
  const Shape constant{2, 3};
  for (const int dim : {2, -3, 8, -8, 1000, INT_MAX, INT_MIN}) {
    const std::vector<std::string> parts{"got " + std::to_string(dim), "-2 to 1", "(2, 3)"};
    expect_throws<ShapeError>([&] { shape[dim] = 1; }, parts);
    expect_throws<ShapeError>([&] { (void)constant[dim]; }, parts);
  }
  expect_throws<ShapeError>([] { (void)Shape()[0]; }, {"scalar"});
  EXPECT_EQ(shape, constant);
}

TEST(Shapes, SizesWrittenBelowZeroAreRefusedWhenUsed) {
  Shape shape{2, 3};
  shape[0] = -2;
  expect_throws<ShapeError>([&] { (void)shape.numel(); }, {"(-2, 3)"});
  EXPECT_FALSE(shape.is_countable());
}

// Zeros do not hide what cannot be counted: strides are products of the other sizes.
TEST(Shapes, CountOnlyWhatFitsIn64Bits) {
  constexpr int64_t huge = int64_t{1} << 40;
  for (const Shape& shape : {Shape{huge, huge}, Shape{0, huge, huge}, Shape{huge, huge, 0}}) {
    EXPECT_FALSE(shape.is_countable());
    expect_throws<ShapeError>([&] { (void)shape.numel(); }, {"overflows 64 bits"});
  }
  EXPECT_TRUE((Shape{0, huge}.is_countable(8)));
  EXPECT_FALSE((Shape{0, huge}.is_countable(huge)));
  EXPECT_EQ((Shape{huge, 0}.numel()), 0);
  EXPECT_EQ((Shape{INT64_MAX}.numel()), INT64_MAX);
  EXPECT_FALSE((Shape{INT64_MAX}.is_countable(2)));
}

TEST(Shapes, StreamAsTheyPrint) {
  std::ostringstream out;
  out << Shape{2, 3} << ' ' << float64 << ' ' << MemoryFormat::ChannelsLast << ' ' << cpu;
  EXPECT_EQ(out.str(), "(2, 3) float64 channels_last cpu");
}

TEST(Shapes, RefuseNegativeSizes) {
  expect_throws<ShapeError>([] { Shape({2, -1}); }, {"[Shape] size", "-1"});
}

TEST(Shapes, RefuseMoreThanEightDimensions) {
  EXPECT_EQ(Shape({1, 1, 1, 1, 1, 1, 1, 1}).rank(), Shape::max_rank);
  expect_throws<ShapeError>([] { Shape({1, 1, 1, 1, 1, 1, 1, 1, 1}); }, {"[Shape] rank", "8"});
}

TEST(MemoryFormats, HaveNames) {
  EXPECT_STREQ(to_string(MemoryFormat::RowMajor), "row_major");
  EXPECT_STREQ(to_string(MemoryFormat::ChannelsLast), "channels_last");
}

TEST(MemoryFormats, ChannelsLastExistsFromRankThree) {
  EXPECT_EQ(normalized(MemoryFormat::ChannelsLast, 2), MemoryFormat::RowMajor);
  EXPECT_EQ(normalized(MemoryFormat::ChannelsLast, 3), MemoryFormat::ChannelsLast);
  EXPECT_EQ(normalized(MemoryFormat::RowMajor, 4), MemoryFormat::RowMajor);
}

TEST(Strides, OfRowMajorFallToOne) {
  const Strides strides = strides_of({2, 3, 4}, MemoryFormat::RowMajor);
  EXPECT_EQ(strides[0], 12);
  EXPECT_EQ(strides[1], 4);
  EXPECT_EQ(strides[2], 1);
}

TEST(Strides, OfChannelsLastImages) {
  const Strides strides = strides_of({2, 3, 4, 5}, MemoryFormat::ChannelsLast);
  EXPECT_EQ(strides[0], 60);
  EXPECT_EQ(strides[1], 1);
  EXPECT_EQ(strides[2], 15);
  EXPECT_EQ(strides[3], 3);
}

TEST(Strides, OfChannelsLastSequences) {
  const Strides strides = strides_of({2, 3, 4}, MemoryFormat::ChannelsLast);
  EXPECT_EQ(strides[0], 12);
  EXPECT_EQ(strides[1], 1);
  EXPECT_EQ(strides[2], 3);
}

TEST(Strides, OfATensorAreCheckedAgainstItsRank) {
  const CheckedStrides strides({2, 3, 4}, MemoryFormat::RowMajor);
  EXPECT_EQ(strides.rank(), 3);
  EXPECT_EQ(strides[0], 12);
  EXPECT_EQ(strides[-1], 1);
  for (const int dim : {3, 7, 8, -4, INT_MAX, INT_MIN}) {
    expect_throws<ShapeError>([&] { (void)strides[dim]; }, {"[strides]", "-3 to 2"});
  }
}

TEST(Strides, OfAMatrixAreTheSameInBothFormats) {
  EXPECT_EQ(strides_of({4, 5}, MemoryFormat::ChannelsLast),
            strides_of({4, 5}, MemoryFormat::RowMajor));
}

TEST(Dims, CountFromTheEndWhenNegative) {
  EXPECT_EQ(normalized_dim(-1, 3, "op", {}), 2);
  EXPECT_EQ(normalized_dim(-3, 3, "op", {}), 0);
  EXPECT_EQ(normalized_dim(2, 3, "op", {}), 2);
}

TEST(Dims, OutOfRangeAreErrorsWithOpRangeAndPlace) {
  for (int dim : {3, -4}) {
    expect_throws<ShapeError>(
        [&] { normalized_dim(dim, 3, "sum", Site::here()); },
        {"[sum] dim: got " + std::to_string(dim), "-3 to 2", "shape_test.cpp"});
  }
  expect_throws<ShapeError>([] { normalized_dim(0, 0, "sum", {}); },
                            {"[sum] dim: got 0", "scalar"});
}

TEST(Broadcast, AlignsAtTheLastDimension) {
  EXPECT_EQ(broadcast_shapes({2, 3, 1}, {4}, "op", {}), Shape({2, 3, 4}));
  EXPECT_EQ(broadcast_shapes({5}, {}, "op", {}), Shape({5}));
  EXPECT_EQ(broadcast_shapes({}, {}, "op", {}), Shape());
  EXPECT_EQ(broadcast_shapes({1, 4}, {3, 1}, "op", {}), Shape({3, 4}));
}

TEST(Broadcast, ASizeOfOneBecomesZeroBesideZero) {
  EXPECT_EQ(broadcast_shapes({0, 3}, {1, 3}, "op", {}), Shape({0, 3}));
  EXPECT_EQ(broadcast_shapes({1}, {0}, "op", {}), Shape({0}));
}

TEST(Broadcast, OfShapesThatDoNotFitNamesBothAndThePlace) {
  expect_throws<ShapeError>(
      [] {
        broadcast_shapes({2, 3}, {2}, "add", Site::here());
      },
      {"[add]", "(2, 3)", "(2,)", "shape_test.cpp"});
  expect_throws<ShapeError>([] { broadcast_shapes({0}, {2}, "add", {}); }, {"(0,)", "(2,)"});
}

}  // namespace
}  // namespace warptape
