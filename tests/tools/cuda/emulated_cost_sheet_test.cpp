// The cost sheet of a step: nothing is measured here, nothing runs (tests/emulator/profile has
// that).

#include "tools/cost_sheet.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <map>

#include "core/error.h"
#include "emulator/profile/profile.h"
#include "tests/core/device/gpu_test.h"
#include "tests/tools/command_line.h"
#include "tools/bench_cases.h"
#include "tools/cost_report.h"

namespace warptape::tools {
namespace {

class EmulatedCostSheet : public GpuTest {};

CostSheet sheet_of(const char* model, int64_t batch, const char* precision = "float32") {
  return cost_sheet(step_cases().find(model), {.batch_size = batch, .precision = precision});
}

// Of three products per layer, but for the gradient of the images.
double flops_of_simple_cnn(double batch) {
  const double conv1 = batch * 32 * 32 * 64 * 3 * 9;
  const double conv2 = batch * 16 * 16 * 128 * 64 * 9;
  const double fc1 = batch * 8192 * 256;
  const double fc2 = batch * 256 * 10;
  return 2 * (2 * conv1 + 3 * conv2 + 3 * fc1 + 3 * fc2);
}

TEST_F(EmulatedCostSheet, CountsTheFlopsOfAStep) {
  for (const int64_t batch : {7, 512}) {
    EXPECT_DOUBLE_EQ(sheet_of("simple_cnn", batch).flops(),
                     flops_of_simple_cnn(static_cast<double>(batch)));
  }
}

TEST_F(EmulatedCostSheet, HasPlansWhereProductsAre) {
  const CostSheet sheet = sheet_of("simple_cnn", 512);
  int products = 0;
  for (const LaunchCost& launch : sheet.launches) {
    EXPECT_GT(launch.blocks, 0) << launch.name;
    EXPECT_GT(launch.threads, 0) << launch.name;
    EXPECT_GE(launch.bytes, launch.written_bytes) << launch.name;
    EXPECT_GT(launch.written_bytes, 0) << launch.name;
    const bool multiplies = launch.name == "conv2d" || launch.name == "conv2d_max_pool2d";
    EXPECT_TRUE(!multiplies || launch.product) << launch.name;
    if (launch.product) {
      const ProductWork& work = *launch.product;
      ++products;
      const auto tiles = [](int64_t size, int tile) { return (size + tile - 1) / tile; };
      EXPECT_EQ(launch.blocks, tiles(work.rows, work.tile_rows) *
                                   tiles(work.columns, work.tile_columns) * work.splits)
          << work.plan;
      EXPECT_GE(work.block_depth * work.splits, work.depth) << work.plan;
    }
  }
  EXPECT_EQ(products, 11);
}

TEST_F(EmulatedCostSheet, FollowsThePrecision) {
  const auto products_on = [](const CostSheet& sheet, ProductWork::Cores cores) {
    return std::count_if(sheet.launches.begin(), sheet.launches.end(), [&](const LaunchCost& at) {
      return at.product && at.product->cores == cores;
    });
  };
  EXPECT_EQ(products_on(sheet_of("simple_cnn", 32), ProductWork::Cores::Tensor), 0);
  const CostSheet bf16 = sheet_of("simple_cnn", 32, "bf16");
  EXPECT_EQ(products_on(bf16, ProductWork::Cores::Float), 0);
  EXPECT_GE(products_on(bf16, ProductWork::Cores::Tensor), 11);
}

TEST_F(EmulatedCostSheet, ListsStepsOfSequences) {
  const CostSheet sheet = sheet_of("tcn_c64", 16);
  // The gradients of 8 convolutions' inputs and filters, and forward: 64 channels, 3 taps, of 1024
  // steps; the head.
  EXPECT_NEAR(sheet.flops(), 24 * 2.0 * 16 * 1024 * 64 * 64 * 3, 0.05 * sheet.flops());
  EXPECT_GT(predict(sheet, h200()).us, 100);
  for (const LaunchCost& launch : sheet.launches) {
    // The head takes the last step out of a tensor of 4 MB.
    EXPECT_TRUE(launch.name != "copy" || launch.bytes == 2 * launch.written_bytes);
  }
}

TEST_F(EmulatedCostSheet, SaysWhereFiguresComeFrom) {
  const CostSheet sheet = sheet_of("simple_cnn", 512);
  const std::string text = to_text(sheet, &h200());
  for (const char* part : {"batch 512", "conv2d_max_pool2d", "tiles of 128x64", "GFLOP",
                           "Predicted, not measured", "docs/results/", "dry run", "?: assumed"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  EXPECT_EQ(to_text(sheet, nullptr).find("Predicted"), std::string::npos);
}

TEST_F(EmulatedCostSheet, MeasuresOnlyWhereItCan) {
  if (simt::profile::is_built_in) {
    GTEST_SKIP();
  }
  try {
    cost_sheet(step_cases().find("mlp"), {.measure_at = 1});
    FAIL();
  } catch (const ValueError& error) {
    EXPECT_NE(std::string(error.what()).find("simt-profile"), std::string::npos) << error.what();
  }
}

TEST_F(EmulatedCostSheet, IsWhatProfileLists) {
  const auto sheet =
      nlohmann::json::parse(expect_runs({"profile", "simple_cnn", "--batch-size", "512",
                                         "--precision", "tf32", "--predict", "h200", "--json", "-"})
                                .out);
  EXPECT_EQ(sheet.at("precision"), "tf32");
  EXPECT_GT(sheet.at("launches").size(), 10U);
  EXPECT_GT(sheet.at("predicted").at("step_us"), 0);
  const std::string text = expect_runs({"profile", "mlp", "--launches", "--batch-size", "4"}).out;
  EXPECT_NE(text.find("linear"), std::string::npos) << text;
  expect_fails({"profile", "mlp", "--launches", "--html", "page.html"}, {"--html shows times"});
  expect_fails({"profile", "mlp", "--launches", "--device", "cpu"}, {"got --device cpu"});
  const CommandResult wrong = run_program({"profile", "mlp", "--predict", "abacus"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_NE(wrong.err.find("abacus not in {h200}"), std::string::npos) << wrong.err;
}

}  // namespace
}  // namespace warptape::tools
