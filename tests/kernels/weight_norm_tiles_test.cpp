// How the CPU divides a weight, and its loops by AVX-512 and past the caches.

#include "kernels/weight_norm/weight_norm_tiles.h"

#include <gtest/gtest.h>

#include "core/parallel.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/weight_norm/weight_norm.h"
// This file does not call all of them.
#pragma GCC diagnostic ignored "-Wunused-function"
#include "kernels/weight_norm/weight_norm_lines.h"
#include "kernels/weight_norm/weight_norm_stream.h"

namespace warptape {
namespace {

using weight_norm_tiles::Tiles;

Tiles tiles_of(const Shape& v, const NormDim& dim) {
  return Tiles(slices_of(v, MemoryFormat::RowMajor, dim, "test", {}));
}

std::vector<float> random_floats(int64_t count) {
  return randn({count}).to_vector<float>();
}

TEST(WeightNormTiles, RowsAreReadOnceAndSoFewThatTheFirstCacheKeepsThem) {
  EXPECT_TRUE(tiles_of({64, 27}, 0).are_rows());
  EXPECT_EQ(tiles_of({64, 27}, 0)[0].columns, 1024 / 27);
  EXPECT_EQ(tiles_of({1000000, 64}, 0)[0].columns, 16);
  for (const Shape& v : {Shape{64, 27}, Shape{128, 576}, Shape{512, 4608}, Shape{16, 65536}}) {
    EXPECT_EQ(tiles_of(v, 0).parts(), 1) << v;
  }
  EXPECT_EQ(tiles_of({16, 65536}, 0).count(), 16);
  EXPECT_EQ(tiles_of({16, 131072}, 0).parts(), 1);
  EXPECT_EQ(tiles_of({16, 131073}, 0).parts(), 5);
}

TEST(WeightNormTiles, FewLongRowsAreDividedAmongThreads) {
  EXPECT_EQ(tiles_of({2, 65536}, 0).parts(), 2);
  EXPECT_EQ(tiles_of({1, 1 << 20}, WholeTensor).parts(), 32);
}

TEST(WeightNormTiles, ColumnsThatACacheHoldsAreReadOnce) {
  const Tiles middle = tiles_of({512, 512, 7}, 1);
  EXPECT_TRUE(middle.is_across());
  EXPECT_EQ(middle.parts(), 1);
  EXPECT_EQ(middle[0].columns, 256 / 7);
  EXPECT_EQ(middle.count(), 15);
  const Tiles last = tiles_of({768, 48, 128}, 2);  // too long for any cache
  EXPECT_TRUE(last.is_across());
  EXPECT_EQ(last[0].columns, 128);
  EXPECT_EQ(last.parts(), 144);
}

TEST(WeightNormTiles, BlocksOfLinesAreTheLines) {
  const NormSlices at{.outer = 2, .groups = 3, .lines = 5, .columns = 4, .run = 6};
  for (const NormSlices& slices : {at, NormSlices{.outer = 7, .groups = 3, .columns = 4}}) {
    const Tiles tiles(slices);
    for (int64_t index = 0; index < tiles.count(); ++index) {
      const auto tile = tiles[index];
      int64_t line = tile.first_line;
      tiles.each_block(tile, [&](int64_t start, int64_t lines, int64_t stride) {
        for (int64_t i = 0; i < lines; ++i) {
          EXPECT_EQ(start + i * stride, tiles.start(tile, line)) << index << ", line " << line;
          ++line;
        }
      });
      EXPECT_EQ(line, tile.last_line);
    }
  }
}

TEST(WeightNormTiles, ResultsOfAnyNumberOfThreadsAreTheSame) {
  const int before = num_threads();
  for (const auto& [shape, dim] : {std::pair{Shape{16, 65537}, 0}, std::pair{Shape{300, 100}, 1},
                                   std::pair{Shape{64, 64, 7}, 1}, std::pair{Shape{3, 70000}, 0}}) {
    manual_seed(1);
    const Tensor v = randn(shape);
    const Tensor g = rand(NormDim(dim).norm_shape(shape, "test", {}));
    set_num_threads(1);
    const std::vector<float> one = weight_norm(v, g, {.dim = dim}).to_vector<float>();
    set_num_threads(3);
    EXPECT_EQ(weight_norm(v, g, {.dim = dim}).to_vector<float>(), one) << shape;
  }
  set_num_threads(before);
}

TEST(WeightNormStream, TakesWhatNoCacheKeeps) {
  EXPECT_FALSE(weight_norm_stream::streams((int64_t{32} << 20) - 1));
  EXPECT_TRUE(weight_norm_stream::streams(int64_t{32} << 20));
}

TEST(WeightNormStream, WritesEveryElementAtAnyAddress) {
  const std::vector<float> from = random_floats(9000);
  for (int64_t offset : {0, 1, 2, 3, 5}) {
    for (int64_t count : {0, 1, 3, 4, 7, 100, 4096, 4097, 8195}) {
      std::vector<float> to(9000, 7);
      weight_norm_stream::write_pieces(true, count, to.data() + offset,
                                       [&](int64_t begin, int64_t size, float* place) {
                                         std::copy_n(from.begin() + begin, size, place);
                                       });
      weight_norm_stream::end_writing(true);
      std::vector<float> wanted(9000, 7);
      std::copy_n(from.begin(), count, wanted.begin() + offset);
      EXPECT_EQ(to, wanted) << count << " at " << offset;
    }
  }
}

// The rows of a weight that is streamed, against the same rows in a weight that is not.
void check_streamed_rows(int64_t length) {
  SCOPED_TRACE(length);
  manual_seed(2);
  const Shape shape{1025, length};
  Tensor v = randn(shape);
  Tensor g = rand({1025, 1});
  const Tensor dw = randn(shape);
  ASSERT_TRUE(weight_norm_stream::streams(2 * v.bytes()));
  const auto w_and_gradients = [](Tensor values, Tensor gains, const Tensor& seed) {
    Tape tape;
    tape.watch(values);
    tape.watch(gains);
    const Tensor w = weight_norm(values, gains);
    tape.backward(w, seed);
    return std::vector{w.detach(), tape.gradient(values), tape.gradient(gains)};
  };
  const auto all = w_and_gradients(v, g, dw);
  constexpr int64_t begin = 1020;
  constexpr int64_t end = 1025;
  const auto some = w_and_gradients(v.slice(begin, end), g.slice(begin, end), dw.slice(begin, end));
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].slice(begin, end).to_vector<float>(), some[i].to_vector<float>()) << i;
  }
}

TEST(WeightNormStream, GivesTheSameBits) {
  check_streamed_rows(4099);
}

TEST(WeightNormStream, GivesTheSameBitsByWholeLinesOfACache) {
  check_streamed_rows(4096);
}

#if WARPTAPE_HAS_WEIGHT_NORM_AVX512
TEST(WeightNormLines, SumsByAvx512HaveTheBitsOfTheOthers) {
  if (!weight_norm_avx512::is_there()) {
    GTEST_SKIP() << "no AVX-512 here";
  }
  manual_seed(3);
  const std::vector<float> a = random_floats(4000);
  const std::vector<float> b = random_floats(4000);
  const std::vector<double> ones(200, 1);
  for (int64_t count = 0; count <= 100; ++count) {
    std::vector<double> of_avx512(200, 0.5);
    std::vector<double> of_others(200, 0.5);
    weight_norm_avx512::products_along(a.data(), b.data(), count, of_avx512.data());
    weight_norm_lines::products_along_as(a.data(), b.data(), count, 1, of_others.data());
    EXPECT_EQ(of_avx512, of_others) << count;
    weight_norm_avx512::products_of_rows(a.data(), b.data(), 5, count, of_avx512.data());
    weight_norm_lines::products_of_rows_as(a.data(), b.data(), 5, count, ones.data(),
                                           of_others.data());
    EXPECT_EQ(of_avx512, of_others) << count;
    weight_norm_avx512::products_across(a.data(), b.data(), 7, 150, count, of_avx512.data());
    weight_norm_lines::products_across_as(a.data(), b.data(), 7, 150, count, ones.data(),
                                          of_others.data());
    EXPECT_EQ(of_avx512, of_others) << count;
  }
}

// Of tensors, whose rows are whole lines where their lengths are.
TEST(WeightNormLines, RowsOfWholeLinesGoPastTheCachesByAvx512) {
  if (!weight_norm_avx512::is_there()) {
    GTEST_SKIP() << "no AVX-512 here";
  }
  manual_seed(4);
  constexpr int64_t rows = 3;
  const std::vector<double> units = {0.5, 1, 4};
  const std::vector<double> gains = {1.1, -0.3, 7};
  const std::vector<double> projections = {0.2, 3, -1};
  for (const int64_t run : {16, 48, 47}) {
    const Tensor v = randn({rows, run});
    const Tensor dw = randn({rows, run});
    Tensor by_lines = Tensor::zeros({rows, run});
    Tensor wanted = Tensor::zeros({rows, run});
    const bool are_lines = run % 16 == 0;
    EXPECT_EQ(
        weight_norm_lines::scale_rows_past_caches(v.data<float>(), rows, run, units.data(),
                                                  gains.data(), by_lines.mutable_data<float>()),
        are_lines);
    weight_norm_stream::end_writing(true);
    weight_norm_lines::scale_rows_as(v.data<float>(), rows, run, units.data(), gains.data(),
                                     wanted.mutable_data<float>());
    EXPECT_EQ(by_lines.to_vector<float>() == wanted.to_vector<float>(), are_lines) << run;
    const weight_norm_lines::RowGradients of{units.data(), gains.data(), projections.data()};
    EXPECT_EQ(weight_norm_lines::gradient_rows_past_caches(dw.data<float>(), v.data<float>(), rows,
                                                           run, of, by_lines.mutable_data<float>()),
              are_lines);
    weight_norm_stream::end_writing(true);
    weight_norm_lines::gradient_rows_as(dw.data<float>(), v.data<float>(), rows, run, of, false,
                                        wanted.mutable_data<float>());
    EXPECT_EQ(by_lines.to_vector<float>() == wanted.to_vector<float>(), are_lines) << run;
  }
}

TEST(WeightNormLines, RowsThatBeginWithinALineDoNot) {
  const Tensor v = randn({1, 16});
  Tensor place = Tensor::zeros({32});
  float* const within = place.mutable_data<float>() + 1;
  const double one = 1;
  EXPECT_FALSE(
      weight_norm_lines::scale_rows_past_caches(v.data<float>(), 1, 16, &one, &one, within));
  EXPECT_FALSE(weight_norm_lines::gradient_rows_past_caches(v.data<float>(), v.data<float>(), 1, 16,
                                                            {&one, &one, &one}, within));
}
#endif

}  // namespace
}  // namespace warptape
