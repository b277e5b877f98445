// How reductions and rows are spread over a GPU, shape by shape: packs, lanes, blocks and chunks.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/reduce/reduce.h"
#include "kernels/rows/row_geometry.h"

namespace warptape {
namespace {

std::string text_of(const ReduceLayout<1>& layout) {
  return fmt::format("{}, packs of {}, {} lanes, {} x {} blocks",
                     layout.columns ? "columns" : "rows", layout.pack, layout.lanes, layout.blocks,
                     layout.chunks);
}

// Of a row-major matrix of floats, over its rows, its columns or all.
std::string reduction(const Shape& shape, bool over_rows, bool over_columns, bool is_aligned) {
  Strides output{};
  output[over_rows ? 1 : 0] = 1;
  const auto loops =
      make_reduce_loops<1>(shape, MemoryFormat::RowMajor, DimMask{over_rows, over_columns}, output,
                           {strides_of(shape, MemoryFormat::RowMajor)});
  const bool aligned[1] = {is_aligned};
  const ReducePlan<1> plan = reduce_plan<1>(loops, 4, aligned);
  EXPECT_EQ(plan.partials, plan.first.chunks > 1 ? plan.first.chunks * plan.first.outputs : 0);
  return text_of(plan.first) + (plan.partials > 0 ? "; " + text_of(plan.second) : "");
}

TEST(Plans, Reductions) {
  struct Case {
    Shape shape;
    bool over_rows, over_columns, is_aligned;
    const char* plan;
  };
  for (const auto& [shape, over_rows, over_columns, is_aligned, plan] : std::vector<Case>{
           {{16384, 1024}, false, true, true, "rows, packs of 4, 32 lanes, 2048 x 1 blocks"},
           {{16384, 1024}, false, true, false, "rows, packs of 1, 32 lanes, 2048 x 1 blocks"},
           {{16384, 1023}, false, true, true, "rows, packs of 1, 32 lanes, 2048 x 1 blocks"},
           {{100000, 16}, false, true, true, "rows, packs of 4, 4 lanes, 1563 x 1 blocks"},
           // Few rows get more lanes, then chunks.
           {{64, 4096}, false, true, true, "rows, packs of 4, 256 lanes, 64 x 1 blocks"},
           {{64, 128}, false, true, true, "rows, packs of 4, 32 lanes, 8 x 1 blocks"},
           {{4, 1 << 20},
            false,
            true,
            true,
            "rows, packs of 4, 256 lanes, 4 x 128 blocks; rows, packs of 1, 32 lanes, 1 x 1 "
            "blocks"},
           {{4096, 1024},
            true,
            true,
            true,
            "rows, packs of 4, 256 lanes, 1 x 512 blocks; rows, packs of 1, 256 lanes, 1 x 1 "
            "blocks"},
           // Bias gradients.
           {{131072, 128},
            true,
            false,
            true,
            "columns, packs of 4, 8 lanes, 4 x 132 blocks; rows, packs of 1, 32 lanes, 16 x 1 "
            "blocks"},
           {{131072, 128},
            true,
            false,
            false,
            "columns, packs of 1, 32 lanes, 4 x 132 blocks; rows, packs of 1, 32 lanes, 16 x 1 "
            "blocks"},
           {{512, 256}, true, false, true, "columns, packs of 4, 8 lanes, 8 x 1 blocks"},
           {{512, 10}, true, false, true, "columns, packs of 1, 10 lanes, 1 x 1 blocks"},
       }) {
    EXPECT_EQ(reduction(shape, over_rows, over_columns, is_aligned), plan) << shape.to_string();
  }
}

std::string text_of(const rows::Plan& plan) {
  const char* layouts[] = {"team", "staged", "columns"};
  return fmt::format("{}{}, {} lanes, {} x {} blocks of {}", layouts[static_cast<int>(plan.layout)],
                     plan.packed ? " in packs" : "", plan.lanes, plan.blocks, plan.chunks,
                     plan.threads);
}

TEST(Plans, Rows) {
  struct Case {
    rows::Extents extents;
    bool aligned;
    const char* plan;
  };
  for (const auto& [extents, aligned, plan] : std::vector<Case>{
           {{16384, 1024, 1}, true, "team in packs, 128 lanes, 16384 x 1 blocks of 128"},
           {{16384, 1024, 1}, false, "team, 128 lanes, 16384 x 1 blocks of 128"},
           {{4, 1 << 20, 1}, true, "team in packs, 256 lanes, 4 x 128 blocks of 256"},
           {{4, 1 << 20, 1}, false, "team, 256 lanes, 4 x 128 blocks of 256"},
           {{1, 16384, 1024}, true, "columns in packs, 8 lanes, 32 x 16 blocks of 256"},
           {{1, 16384, 1024}, false, "columns, 32 lanes, 32 x 16 blocks of 256"},
           {{1, 16384, 1023}, true, "columns, 32 lanes, 32 x 16 blocks of 256"},
           {{64, 21, 16384}, true, "columns in packs, 8 lanes, 16384 x 1 blocks of 256"},
           // A warp per row, until a thread per row fills the GPU.
           {{512, 10, 1}, true, "staged in packs, 32 lanes, 64 x 1 blocks of 256"},
           {{5000, 10, 1}, true, "staged in packs, 1 lanes, 157 x 1 blocks of 256"},
           {{100000, 10, 1}, true, "staged in packs, 1 lanes, 391 x 1 blocks of 256"},
           {{0, 1, 1}, true, "staged in packs, 32 lanes, 0 x 1 blocks of 256"},
           {{512, 10, 1}, false, "team, 4 lanes, 8 x 1 blocks of 256"},
       }) {
    EXPECT_EQ(text_of(rows::make_plan<float>(extents, 1, aligned)), plan)
        << extents.outer << " " << extents.length << " " << extents.inner;
  }
}

TEST(Plans, BlocksOfAnOpThatSumsOverThemRunAtOnce) {
  constexpr auto at_once = rows::Blocks::AsRunAtOnce;
  EXPECT_EQ(rows::make_plan<float>({16384, 1024, 1}, 1, true, at_once).blocks, 132 * 8);
  EXPECT_EQ(rows::make_plan<float>({1000000, 10, 1}, 1, true, at_once).blocks, 132 * 4);
  EXPECT_EQ(rows::make_plan<float>({64, 21, 65536}, 1, true, at_once).blocks, 132 * 4);
}

TEST(Plans, ATensorThatDoesNotStartAt16BytesTakesThePacksFromAll) {
  alignas(16) const float memory[8] = {};
  const rows::Extents extents{300, 64, 1};
  EXPECT_TRUE(rows::plan_of<float>(extents, {memory, memory, memory + 4}).packed);
  EXPECT_TRUE(rows::plan_of<float>(extents, {memory, nullptr}).packed);
  for (int shifted = 0; shifted < 3; ++shifted) {
    const float* at[3] = {memory, memory, memory};
    at[shifted] += 1;
    EXPECT_FALSE(rows::plan_of<float>(extents, {at[0], at[1], at[2]}).packed) << shifted;
  }
}

}  // namespace
}  // namespace warptape
