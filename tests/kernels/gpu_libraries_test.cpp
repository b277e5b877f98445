// Which of our kernels and the libraries' is chosen: a function, so no GPU is needed.

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

#include "core/error.h"
#include "kernels/vendor/choice.h"

namespace warptape {
namespace {

constexpr std::array all_precisions{Precision::Float32, Precision::Tf32, Precision::Bfloat16,
                                    Precision::Float64};

using enum ProductKind;
using enum Precision;

// What an H200 measured once, in microseconds.
const MeasuredProduct h200[] = {
    {90, {Gemm, Float32, 10, 256, 512, 1, 1, true}, 23.3, 9.6},
    {90, {Gemm, Float32, 256, 8192, 512, 1, 1, true}, 101.7, 53.0},
    {90, {Gemm, Float32, 512, 10, 256, 1, 1, false, true}, 24.0, 10.6},
    {90, {Gemm, Float32, 512, 256, 10}, 9.9, 9.7},
    {90, {Gemm, Float32, 512, 256, 8192, 1, 1, false, true}, 108.6, 80.4},
    {90, {Gemm, Float32, 512, 8192, 256}, 109.2, 51.2},
    {90, {Gemm, Float32, 1024, 1024, 1024}, 114.9, 63.7},
    {90, {Gemm, Float32, 4096, 4096, 4096}, 6026.2, 2682.2},
    {90, {Gemm, Tf32, 512, 256, 10}, 9.9, 6.1},
    {90, {Gemm, Tf32, 512, 8192, 256}, 109.2, 19.5},
    {90, {Gemm, Bfloat16, 4096, 4096, 4096, 1, 1, false, true}, 566.5, 176.9},
    {90, {Conv2d, Float32, 131072, 128, 576, 9}, 527.2, 1844.5},
    {90, {Conv2d, Float32, 524288, 64, 27, 9}, 164.8, 152.4},
    {90, {Conv2d, Tf32, 131072, 128, 576, 9}, 527.2, 65.7},
    {90, {Conv2d, Tf32, 524288, 64, 27, 9}, 164.8, 83.9},
    {90, {Conv2dDataGrad, Float32, 131072, 128, 576, 9}, 598.3, 0},
    {90, {Conv2dDataGrad, Float32, 524288, 64, 27, 9}, 1728.6, 3609.7},
    {90, {Conv2dDataGrad, Tf32, 131072, 128, 576, 9}, 598.3, 102.4},
    {90, {Conv2dWeightGrad, Float32, 131072, 128, 576, 9}, 536.3, 1331.0},
    {90, {Conv2dWeightGrad, Float32, 524288, 64, 27, 9}, 377.6, 832.1},
    {90, {Conv2dWeightGrad, Tf32, 131072, 128, 576, 9}, 536.3, 165.1},
    {90, {Conv2dWeightGrad, Tf32, 524288, 64, 27, 9}, 377.6, 419.5},
};

bool chosen(Product product, int architecture = 90) {
  return library_is_chosen(product, GpuLibraries::Auto, architecture, h200);
}

struct Layer {
  const char* name;
  Product product;
  bool in_float32, in_tf32;
};

// Everything that a step of SimpleCNN on 3x32x32 images multiplies.
std::vector<Layer> simple_cnn(int64_t batch) {
  const int64_t pixels1 = batch * 32 * 32;
  const int64_t pixels2 = batch * 16 * 16;
  return {
      {"conv1 y", {Conv2d, Float32, pixels1, 64, 27, 9}, false, true},
      {"conv1 dw", {Conv2dWeightGrad, Float32, pixels1, 64, 27, 9}, false, false},
      {"conv2 y", {Conv2d, Float32, pixels2, 128, 576, 9}, false, true},
      {"conv2 dx", {Conv2dDataGrad, Float32, pixels2, 128, 576, 9}, false, true},
      {"conv2 dw", {Conv2dWeightGrad, Float32, pixels2, 128, 576, 9}, false, true},
      {"fc1 y", {Gemm, Float32, batch, 256, 8192, 1, 1, false, true}, true, true},
      {"fc1 dx", {Gemm, Float32, batch, 8192, 256}, true, true},
      {"fc1 dw", {Gemm, Float32, 256, 8192, batch, 1, 1, true}, true, true},
      {"fc2 y", {Gemm, Float32, batch, 10, 256, 1, 1, false, true}, true, true},
      {"fc2 dx", {Gemm, Float32, batch, 256, 10}, false, true},
      {"fc2 dw", {Gemm, Float32, 10, 256, batch, 1, 1, true}, true, true},
  };
}

TEST(GpuLibraries, ServeTheProductsOfSimpleCnnWhereTheyWereFaster) {
  for (const int64_t batch : {128, 512, 4096}) {
    for (const Layer& layer : simple_cnn(batch)) {
      for (const int architecture : {75, 80, 86, 89, 90, 100, 120}) {
        SCOPED_TRACE(testing::Message()
                     << layer.name << ", batch " << batch << ", sm_" << architecture);
        Product product = layer.product;
        EXPECT_EQ(chosen(product, architecture), layer.in_float32);
        product.precision = Tf32;
        EXPECT_EQ(chosen(product, architecture), layer.in_tf32);
        product.precision = Bfloat16;
        EXPECT_EQ(chosen(product, architecture), product.kind == Gemm);
        product.precision = Float64;
        EXPECT_FALSE(chosen(product, architecture)) << "nothing was measured";
      }
    }
  }
}

// Small ones are nearest to fc2's data gradient, which both take equally long for in float32.
TEST(GpuLibraries, ServeSquareProducts) {
  for (const int64_t size : {64, 128, 256, 512, 1024, 2048, 4096}) {
    for (const Precision precision : {Float32, Tf32, Bfloat16}) {
      EXPECT_EQ(chosen({Gemm, precision, size, size, size}), precision != Float32 || size >= 512)
          << size;
    }
  }
}

TEST(GpuLibraries, OnAndOffAskNoTable) {
  for (const Layer& layer : simple_cnn(512)) {
    for (const Precision precision : all_precisions) {
      Product product = layer.product;
      product.precision = precision;
      EXPECT_TRUE(library_is_chosen(product, GpuLibraries::On, 90, h200)) << layer.name;
      EXPECT_FALSE(library_is_chosen(product, GpuLibraries::Off, 90, h200)) << layer.name;
      EXPECT_FALSE(library_is_chosen(product, GpuLibraries::Auto, 90, {})) << layer.name;
    }
  }
}

// The table that is built in, whatever the newest report says.
TEST(GpuLibraries, TheCommittedTableIsObeyed) {
  ASSERT_FALSE(measured_products().empty());
  for (const MeasuredProduct& row : measured_products()) {
    SCOPED_TRACE(to_string(row.product));
    EXPECT_EQ(nearest_measured(row.product, row.architecture, measured_products()), &row);
    EXPECT_EQ(library_is_chosen(row.product, GpuLibraries::Auto, row.architecture),
              row.library_us != 0 && row.library_us < 0.9 * row.ours_us);
    EXPECT_GT(row.ours_us, 0);
    EXPECT_GE(row.library_us, 0);
  }
}

TEST(GpuLibraries, HaveToSaveATenth) {
  const Product p;
  EXPECT_TRUE(library_is_faster({90, p, 10, 8.9}));
  EXPECT_FALSE(library_is_faster({90, p, 10, 9.0}));
  EXPECT_FALSE(library_is_faster({90, p, 10, 9.9}));
  EXPECT_FALSE(library_is_faster({90, p, 10, 11}));
  EXPECT_FALSE(library_is_faster({90, p, 10, 0})) << "it has no kernel";
}

// The row of a table that stands for a product, by its place; -1: none.
int64_t nearest(const Product& product, int architecture, std::span<const MeasuredProduct> table) {
  const MeasuredProduct* const row = nearest_measured(product, architecture, table);
  return row == nullptr ? -1 : row - table.data();
}

TEST(GpuLibraries, TheNearestProductStandsForOthers) {
  const MeasuredProduct table[] = {{90, {Gemm, Float32, 64, 64, 64}, 1, 2},
                                   {90, {Gemm, Float32, 1024, 1024, 1024}, 2, 1},
                                   {90, {Gemm, Float32, 64, 64, 64, 1, 16}, 2, 1},
                                   {90, {Gemm, Float32, 64, 64, 4096}, 2, 1}};
  EXPECT_EQ(nearest({Gemm, Float32, 255, 255, 255}, 90, table), 0);
  EXPECT_EQ(nearest({Gemm, Float32, 257, 257, 257}, 90, table), 1);
  EXPECT_EQ(nearest({Gemm, Float32, 256, 256, 256}, 90, table), 0) << "a tie: the first one";
  EXPECT_EQ(nearest({Gemm, Float32, 64, 64, 64, 1, 5}, 90, table), 2);
  EXPECT_EQ(nearest({Gemm, Float32, 64, 64, 64, 1, 3}, 90, table), 0);
  EXPECT_EQ(nearest({Gemm, Float32, 64, 64, 600}, 90, table), 3);
  EXPECT_EQ(nearest({Gemm, Float32, 0, 0, 0}, 90, table), 0);
  EXPECT_EQ(nearest({Gemm, Float32, int64_t{1} << 40, int64_t{1} << 40, 1}, 90, table), 1);
  EXPECT_EQ(nearest({Gemm, Float64, 64, 64, 64}, 90, table), -1);
  EXPECT_EQ(nearest({Conv2d, Float32, 64, 64, 64}, 90, table), -1);
}

TEST(GpuLibraries, LayoutsCountAndKindsDoNotMix) {
  const MeasuredProduct table[] = {
      {90, {Gemm, Float32, 64, 64, 64, 1, 1, false, false}, 1, 2},
      {90, {Gemm, Float32, 64, 64, 64, 1, 1, true, false}, 1, 2},
      {90, {Gemm, Float32, 64, 64, 64, 1, 1, false, true}, 1, 2},
      {90, {Gemm, Float32, 64, 64, 64, 1, 1, false, false, true}, 1, 2},
      {90, {Conv2d, Float32, 64, 64, 9, 9}, 1, 2},
      {90, {Conv2d, Float32, 64, 64, 9, 1}, 1, 2},
      {90, {Conv2d, Float32, 64, 64, 9, 9, 8, false, false, false, true}, 1, 2},
      {90, {Conv2dDataGrad, Float32, 64, 64, 9, 9}, 1, 2},
      {90, {Conv2dWeightGrad, Float32, 64, 64, 9, 9}, 1, 2}};
  for (const MeasuredProduct& row : table) {
    Product product = row.product;
    product.n = 100;  // still nearest to the row of its kind and layout
    EXPECT_EQ(nearest(product, 90, table), &row - table) << to_string(product);
  }
  Product grouped{Conv2d, Float32, 64, 64, 9, 9, 8};
  EXPECT_EQ(nearest(grouped, 90, table), 4) << "grouped is not depthwise";
  grouped.depthwise = true;
  grouped.kind = Conv2dDataGrad;
  EXPECT_EQ(nearest(grouped, 90, table), -1);
}

TEST(GpuLibraries, TheNearestArchitectureStandsForOthers) {
  const MeasuredProduct table[] = {{90, {Gemm, Float32, 8, 8, 8}, 2, 1},
                                   {80, {Gemm, Float32, 512, 512, 512}, 1, 2},
                                   {80, {Gemm, Tf32, 512, 512, 512}, 1, 2}};
  const Product small{Gemm, Float32, 8, 8, 8};
  EXPECT_EQ(nearest(small, 80, table), 1) << "an architecture counts more than a size";
  EXPECT_EQ(nearest(small, 75, table), 1);
  EXPECT_EQ(nearest(small, 85, table), 1) << "the older of two";
  EXPECT_EQ(nearest(small, 86, table), 0);
  EXPECT_EQ(nearest(small, 120, table), 0);
  EXPECT_EQ(nearest({Gemm, Tf32, 8, 8, 8}, 90, table), 2) << "of those that have such rows";
}

TEST(GpuLibraries, ModesHaveNames) {
  for (const GpuLibraries mode : {GpuLibraries::Auto, GpuLibraries::On, GpuLibraries::Off}) {
    EXPECT_EQ(parse_gpu_libraries("--x", name_of(mode)), mode);
  }
  for (const char* text : {"", "ON", "yes", "autos"}) {
    EXPECT_THROW(parse_gpu_libraries("--x", text), ValueError) << text;
  }
}

TEST(GpuLibraries, ProductsHaveText) {
  EXPECT_EQ(to_string(Product{Gemm, Tf32, 2, 3, 4, 1, 5, true, true}),
            "gemm 2x4 by 4x3, a transposed, b transposed, 5 batches, tf32");
  EXPECT_EQ(to_string(Product{Conv2dDataGrad, Float32, 100, 64, 27, 9, 2}),
            "conv2d dx, 100 pixels, 9 taps of 3 to 64 channels, 2 groups, float32");
}

}  // namespace
}  // namespace warptape
