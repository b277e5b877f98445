// Which packs, tiles and threads serve what moves data and what compares, shape by shape.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/gather/gather_kernels.h"
#include "kernels/pointwise/mixed.h"
#include "kernels/regions/regions_kernels.h"

namespace warptape {
namespace {

struct Padded {
  Shape x;
  Strides before;
  Shape y;
  MemoryFormat format = MemoryFormat::RowMajor;
  bool aligned = true;
};

std::string text_of(const PlacePlan& plan) {
  std::string text = fmt::format("packs of {}:", plan.pack);
  for (int d = 0; d < plan.rank; ++d) {
    text += fmt::format(" [{} + {} of {}]", plan.begin[d], plan.count[d], plan.extent[d]);
  }
  return text;
}

std::string plan_of(const Padded& padded) {
  Box box = box_of(padded.x);
  box.begin = padded.before;
  const Region source{0, strides_of(padded.x, padded.format)};
  return text_of(place_plan(box, source, padded.y, padded.format, padded.aligned ? 4 : 1));
}

TEST(MovingPlans, PaddingTakesPacksWhereItsRunsAreWhole) {
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  EXPECT_EQ(plan_of({{8, 16}, {2, 0}, {12, 16}}), "packs of 4: [8 + 32 of 48]");
  EXPECT_EQ(plan_of({{8, 16}, {2, 0}, {12, 16}, MemoryFormat::RowMajor, false}),
            "packs of 1: [32 + 128 of 192]");
  EXPECT_EQ(plan_of({{8, 16}, {0, 4}, {8, 24}}), "packs of 4: [0 + 8 of 8] [1 + 4 of 6]");
  EXPECT_EQ(plan_of({{8, 16}, {0, 1}, {8, 20}}), "packs of 1: [0 + 8 of 8] [1 + 16 of 20]");
  EXPECT_EQ(plan_of({{8, 16}, {0, 4}, {8, 21}}), "packs of 1: [0 + 8 of 8] [4 + 16 of 21]");
  // Images: outer dimensions are one, and of channels-last ones a row and its channels.
  EXPECT_EQ(plan_of({{2, 3, 8, 8}, {0, 0, 1, 1}, {2, 3, 10, 10}}),
            "packs of 1: [0 + 6 of 6] [1 + 8 of 10] [1 + 8 of 10]");
  EXPECT_EQ(plan_of({{2, 8, 6, 6}, {0, 0, 1, 1}, {2, 8, 8, 8}, channels_last}),
            "packs of 4: [0 + 2 of 2] [1 + 6 of 8] [2 + 12 of 16]");
}

// The box of a slice with steps: what its backward writes.
TEST(MovingPlans, StepsAreNotMerged) {
  Box box = box_of({3, 8});
  box.begin[0] = 1;
  box.step[0] = 2;
  const PlacePlan plan = place_plan(box, {0, strides_of({3, 8}, MemoryFormat::RowMajor)}, {7, 8},
                                    MemoryFormat::RowMajor, 4);
  EXPECT_EQ(text_of(plan), "packs of 4: [1 + 3 of 7] [0 + 2 of 2]");
  EXPECT_EQ(plan.step[0], 2);
}

TEST(MovingPlans, MixedSizesTakePacksWhereAllBeginTogether) {
  EXPECT_EQ((mixed::pack_of<uint8_t, float, float>), 4);
  EXPECT_EQ((mixed::pack_of<uint8_t, uint8_t>), 16);
  EXPECT_EQ((mixed::pack_of<double, uint8_t, double>), 2);
  const StridedLoop<4> flat = elementwise::flat_loop<4>(1027);
  const bool all[] = {true, true, true, true};
  const bool not_b[] = {true, true, false, true};
  EXPECT_TRUE(mixed::fits_packs(flat, all, 4));
  EXPECT_FALSE(mixed::fits_packs(flat, not_b, 4));
  EXPECT_FALSE(mixed::fits_packs(elementwise::flat_loop<4>(3), all, 4));
  const auto places = mixed::make_places(flat, 4);
  EXPECT_EQ(places.packs, 256);
  EXPECT_EQ(places.tail, 3);
  EXPECT_EQ(places.tail_begin, 1024);
  // Rows that are no whole packs.
  StridedLoop<4> rows = elementwise::flat_loop<4>(6);
  rows.rank = 2;
  rows.extent = {5, 6};
  for (Strides& stride : rows.stride) {
    stride = {6, 1};
  }
  EXPECT_FALSE(mixed::fits_packs(rows, all, 4));
  EXPECT_TRUE(mixed::fits_packs(rows, all, 2));
}

TEST(MovingPlans, GatherGivesThreadsMoreWhereThereAreMany) {
  const auto lines_of = [](const Shape& shape, int dim) {
    const Tensor x = Tensor::empty(shape, uint8);
    Shape of_index = shape;
    of_index[dim] = 1;
    const Tensor index = Tensor::empty(of_index, uint8);
    return gather_lines(x, dim, index, index);
  };
  const GatherLines few = lines_of({100, 10}, 1);
  EXPECT_EQ(few.per_thread, 1);
  EXPECT_EQ(few.tiles, 10);
  EXPECT_TRUE(few.lanes_along_dim);
  const GatherLines some = lines_of({2051, 256}, 0);
  EXPECT_EQ(some.per_thread, 4);
  EXPECT_EQ(some.tiles, 513);
  EXPECT_FALSE(some.lanes_along_dim);
  EXPECT_EQ(lines_of({1 << 23}, 0).per_thread, 32);
  EXPECT_EQ(lines_of({1 << 23}, 0).chunks, 1);
}

// A few elements that are taken often.
TEST(MovingPlans, GatherDividesALongIndex) {
  const auto lines_of = [](const Shape& shape, const Shape& of_index) {
    const Tensor x = Tensor::empty(shape, uint8);
    const Tensor index = Tensor::empty(of_index, uint8);
    return gather_lines(x, 0, index, index);
  };
  const GatherLines table = lines_of({10, 64}, {1 << 16, 64});
  EXPECT_EQ(table.threads(), 640);
  EXPECT_EQ(table.chunks, 51);
  EXPECT_EQ(table.chunk_length, 1286);
  EXPECT_EQ(table.partials(), 51 * 640);
  EXPECT_EQ(lines_of({1}, {1000}).chunks, 3);
  EXPECT_EQ(lines_of({1}, {511}).chunks, 1);
  EXPECT_EQ(lines_of({1}, {0}).chunks, 1);
  EXPECT_EQ(lines_of({1 << 15, 1}, {1 << 16, 1}).partials(), 0);
}

}  // namespace
}  // namespace warptape
