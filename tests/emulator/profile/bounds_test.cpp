// Our kernels hold the bounds on tensors of 1 MB and more; kernels that are slow on purpose do not.

#include "tests/emulator/profile/bounds.h"

#include <gtest/gtest.h>

#include "core/check.h"
#include "tests/emulator/profile/planted.h"

namespace warptape {
namespace {

struct BoundedCase {
  const char* name;
  Shape shape;
  MemoryBounds bounds = {};
};

void expect_bounds(const std::vector<BoundedCase>& cases, DType dtype = float32) {
  for (const auto& [name, shape, bounds] : cases) {
    SCOPED_TRACE(fmt::format("{} {} {}", name, shape, to_string(dtype)));
    const MeasuredCase& measured = tools::find_measured_case(name);
    const tools::KernelRun run = tools::profile_case(measured, shape, dtype);
    EXPECT_GE(run.wide_bytes, 1 << 20) << "too small to tell";
    EXPECT_EQ(broken_bounds(run, bounds), std::vector<std::string>());
  }
}

// Every measured case at its own shape, by its own bounds. Below are other shapes and float64.
class ProfileBoundsOf : public testing::TestWithParam<std::string> {};

TEST_P(ProfileBoundsOf, TheMeasuredCase) {
  const MeasuredCase& measured = tools::find_measured_case(GetParam());
  expect_bounds({{measured.name.c_str(), measured.shape, measured.bounds}});
}

std::vector<std::string> bounded_names() {
  std::vector<std::string> names;
  for (const MeasuredCase& measured : tools::measured_cases()) {
    if (!measured.is_product) {  // matrix_bounds_test.cpp has these
      names.push_back(measured.name);
    }
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Ops, ProfileBoundsOf, testing::ValuesIn(bounded_names()),
                         [](const auto& test) { return test.param; });

TEST(ProfileBounds, WeightNorm) {
  expect_bounds({{"weight_norm", {54000, 5}},
                 {"weight_norm", {10000, 27}},
                 {"weight_norm", {64, 4096}},
                 {"weight_norm", {20, 13824}}});
  expect_bounds({{"weight_norm", {256, 576}}}, float64);
  // Lengths that are no multiple of a pack.
  expect_bounds({{"weight_norm", {4500, 65}},
                 {"weight_norm", {1800, 147}},
                 {"weight_norm", {1300, 210}},
                 {"weight_norm", {700, 385}},
                 {"weight_norm", {300, 1025}},
                 {"weight_norm", {65, 4097}}});
  expect_bounds({{"weight_norm", {1000, 147}}}, float64);
  // No block holds such a row: v is read once more forward, v and dw backward.
  expect_bounds({{"weight_norm", {1, 1000000}, {.moved = 1.05 * 8 / 5}}});
  // Of columns, too, which then also leave sums behind.
  expect_bounds({{"weight_norm_last_dim", {20'000, 16}, {.moved = 1.08 * 8 / 5, .by_16 = 0}}});
}

TEST(ProfileBounds, Elementwise) {
  expect_bounds({{"mul", {512, 512}}}, float64);
}

TEST(ProfileBounds, Reductions) {
  expect_bounds({{"sum", {512, 512}}, {"max", {512, 512}}}, float64);
  // Across memory, in chunks. With a last tile that is not full, each of its partial sums, 3 KB in
  // all, takes a sector of its own.
  expect_bounds({{"sum_dim0", {4096, 72}, {.efficiency = 0.6}}});
  expect_bounds({{"sum_dim0", {512, 512}}, {"max_dim0", {512, 512}}}, float64);
  // Rows that are no multiple of a pack; forward alone, as repeating a value over such rows is
  // written element by element.
  expect_bounds({{"argmax", {54000, 5}},
                 {"argmax", {10000, 27}},
                 {"argmax", {2000, 147}},
                 {"argmax", {100, 3001}},
                 // Its second launch reads the few pairs of value and place that blocks left.
                 {"argmax", {1, 1000003}, {.efficiency = 0.35}}});
}

TEST(ProfileBounds, Rows) {
  for (const char* name : {"softmax", "log_softmax", "cross_entropy"}) {
    // Each block of cross-entropy counts the labels, of which there are few.
    const bool counts = name == std::string("cross_entropy");
    expect_bounds({{name, {30000, 10}},
                   {name, {5000, 64}},
                   {name, {100, 3001}, {.moved = counts ? 1.08 : 1.05}},
                   {name, {40, 8192}}});
  }
  expect_bounds({{"softmax", {5000, 65}}, {"softmax", {2000, 147}}, {"softmax", {700, 385}}});
  expect_bounds({{"softmax", {256, 1024}}}, float64);
  expect_bounds({{"softmax_dim0", {64, 4096}}});
  // Every warp of a column reads its label, all but the first from the cache.
  expect_bounds({{"cross_entropy", {8, 21, 2048}, {.moved = 1.7, .efficiency = 0.65}}});
  // No block holds such a row: x is read once more forward, dy and y backward.
  expect_bounds({{"softmax", {20, 16384}, {.moved = 1.05 * 8 / 5}}});
}

TEST(ProfileBounds, Dropout) {
  // Two neighbouring pixels of 48 bytes share a sector, and a thread takes one after the other.
  expect_bounds({{"dropout_channels_last", {4, 12, 80, 80}, {.moved = 1.36, .efficiency = 0.73}}});
  expect_bounds({{"dropout_channels_last", {8, 32, 32, 32}}}, float64);
}

TEST(ProfileBounds, Optimizers) {
  expect_bounds({{"sgd", {512, 512}}, {"adamw", {512, 512}}, {"grad_norm", {512, 512}}}, float64);
}

TEST(ProfileBounds, Pooling) {
  expect_bounds(
      {{"max_pool2d", {2, 8, 128, 128}}, {"max_pool2d_rows", {8, 128, 16, 16}, layout_bounds}});
  expect_bounds({{"max_pool2d", {8, 32, 32, 32}}, {"avg_pool2d", {8, 32, 32, 32}}}, float64);
}

TEST(ProfileBounds, MovingData) {
  expect_bounds({{"relayout", {2, 128, 36, 36}, layout_bounds}});
  expect_bounds({{"relayout", {8, 32, 32, 32}, layout_bounds}}, float64);
  // Of an image of one channel the number and the label, 8 bytes of a sector each, tell.
  expect_bounds({{"image_batch", {512, 1, 32, 32}, {.moved = 1.08}}});
}

TEST(ProfileBounds, MovingParts) {
  expect_bounds({{"where", {512, 512}}, {"pad", {512, 512}}}, float64);
}

// ---- kernels that are slow on purpose, and their good twins -----------------------------------

tools::KernelRun run_of(const simt::profile::KernelProfile& kernel, int64_t counted_bytes) {
  return {{kernel}, counted_bytes, counted_bytes};
}

// The parts that the broken bounds name, in their order.
void expect_broken(const tools::KernelRun& run, const std::vector<std::string>& parts,
                   const MemoryBounds& bounds = {}) {
  const std::vector<std::string> broken = broken_bounds(run, bounds);
  ASSERT_EQ(broken.size(), parts.size()) << testing::PrintToString(broken);
  for (size_t i = 0; i < parts.size(); ++i) {
    EXPECT_NE(broken[i].find(parts[i]), std::string::npos) << broken[i];
  }
}

constexpr int64_t transpose_bytes = 2 * 128 * 128 * 4;
constexpr int64_t copy_bytes = 2 * 4096 * 4;

TEST(ProfileBounds, NaiveTransposeBreaksThem) {
  expect_broken(run_of(planted::transpose_naive(), transpose_bytes),
                {"efficiency 0.222; planted.cu:", "moved 4.500 times"}, layout_bounds);
}

TEST(ProfileBounds, UnpaddedTileBreaksThem) {
  expect_broken(run_of(planted::transpose_unpadded(), transpose_bytes),
                {"bank conflicts, factor 16.500; planted.cu:"}, layout_bounds);
  expect_broken(run_of(planted::transpose_padded(), transpose_bytes), {}, layout_bounds);
}

TEST(ProfileBounds, NarrowAccessesBreakThem) {
  expect_broken(run_of(planted::copy_by_4(), copy_bytes), {"0.000 of the bytes by 16"});
  expect_broken(run_of(planted::copy_by_16(), copy_bytes), {});
  expect_broken(run_of(planted::copy_async(), copy_bytes), {});
}

TEST(ProfileBounds, ARowPerThreadBreaksThem) {
  const int64_t bytes = (128 * 64 + 128) * 4;
  expect_broken(run_of(planted::row_per_thread(), bytes),
                {"neighbouring lanes are 256 bytes apart", "moved", "by 16"});
}

TEST(ProfileBounds, WhatTheProfileDoesNotSeeBreaksThem) {
  expect_broken(run_of(planted::copy_by_16(), 2 * copy_bytes), {"moved 0.500 times", "by 16"});
}

}  // namespace
}  // namespace warptape
