// The model of a GPU that `warptape profile --predict` has: against the script that fitted it,
// against what was measured, and what must hold of any such model.

#include "tools/machine_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace warptape::tools {
namespace {

nlohmann::json measured_rows() {
  std::ifstream file(WARPTAPE_SOURCE_DIR "/docs/results/h200_kernels.json");
  return nlohmann::json::parse(file)["rows"];
}

LaunchCost launch_of(const nlohmann::json& json) {
  LaunchCost launch;
  launch.name = json["name"];
  launch.blocks = json["blocks"];
  launch.threads = json["threads"];
  launch.bytes = json["bytes"];
  if (json.contains("cores")) {
    ProductWork work;
    work.cores = json["cores"] == "tensor" ? ProductWork::Cores::Tensor : ProductWork::Cores::Float;
    work.tile_rows = json["tile"][0];
    work.tile_columns = json["tile"][1];
    work.block_depth = json["block_depth"];
    work.pack = json["pack"];
    work.splits = json["splits"];
    launch.product = work;
  }
  return launch;
}

// As a clock of events sees a row of `bench kernels`, or Nsight Compute a launch.
double predicted_us(const nlohmann::json& row) {
  const MachineModel& machine = h200();
  double us = row["source"] == "bench" ? machine.event_us - machine.launch_us : 0;
  for (const nlohmann::json& launch : row["launches"]) {
    us += predict(launch_of(launch), machine).us;
    us += row["source"] == "bench" ? machine.launch_us : 0;
  }
  return us;
}

TEST(MachineModel, IsTheOneThatTheScriptFitted) {
  const nlohmann::json rows = measured_rows();
  ASSERT_GE(rows.size(), 100U);
  for (const nlohmann::json& row : rows) {
    const double expected = row["predicted_us"];
    EXPECT_NEAR(predicted_us(row), expected, 1e-6 * expected) << row.dump();
  }
}

// docs/performance.md has the median; the bound leaves room for a fit on more kernels.
TEST(MachineModel, IsNearKernelsThatItWasNotFittedTo) {
  std::vector<double> errors;
  for (const nlohmann::json& row : measured_rows()) {
    if (row["half"] == "held out") {
      errors.push_back(std::abs(predicted_us(row) / row["us"].get<double>() - 1));
    }
  }
  ASSERT_GE(errors.size(), 40U);
  std::sort(errors.begin(), errors.end());
  EXPECT_LE(errors[errors.size() / 2], 0.15);
  EXPECT_LE(errors[errors.size() * 9 / 10], 0.60);
}

LaunchCost product(int64_t blocks, int pack) {
  LaunchCost launch{"linear", blocks, 256};
  ProductWork work;
  work.tile_rows = 128;
  work.tile_columns = 64;
  work.block_depth = 512;
  work.pack = pack;
  launch.product = work;
  return launch;
}

TEST(MachineModel, ABlockMoreThanAWaveIsAWaveMore) {
  const auto us = [](int64_t blocks) { return predict(product(blocks, 4), h200()).multiply_us; };
  EXPECT_DOUBLE_EQ(us(264), us(133)) << "two blocks on one multiprocessor, or on all";
  EXPECT_DOUBLE_EQ(us(264) * 2, us(528));
  EXPECT_DOUBLE_EQ(us(1), us(132));
  EXPECT_LE(us(132), us(264));
  EXPECT_GT(2 * us(132), us(264)) << "a block by itself waits for its loads";
}

TEST(MachineModel, FewThreadsDoNotFillTheMemory) {
  LaunchCost launch{"relu", 16, 256, 0, 100'000'000};
  const double few = predict(launch, h200()).memory_us;
  launch.blocks = 132;
  const double more = predict(launch, h200()).memory_us;
  launch.blocks = 10000;
  const double all = predict(launch, h200()).memory_us;
  EXPECT_GT(few, 4 * more);
  EXPECT_GT(more, 1.2 * all);
  launch.blocks = 100000;
  EXPECT_DOUBLE_EQ(predict(launch, h200()).memory_us, all) << "no more are resident";
  EXPECT_GT(all, 100'000'000 / 4.9e6) << "no faster than the memory of an H200";
}

TEST(MachineModel, TakesWhatWasMeasuredOfAPart) {
  LaunchCost launch{"gather", 1000, 256, 0, 100'000'000};
  const double all = predict(launch, h200()).memory_us;
  launch.traffic = Traffic{.read_bytes = 20'000'000, .written_bytes = 5'000'000};
  EXPECT_DOUBLE_EQ(predict(launch, h200()).memory_us, all / 4);
  launch.traffic->read_bytes = 300'000'000;  // caches have what is read again
  EXPECT_DOUBLE_EQ(predict(launch, h200()).memory_us, all);
}

TEST(MachineModel, SaysWhatBounds) {
  EXPECT_STREQ(predict({"fill", 1, 256, 0, 4}, h200()).bound, "launch");
  EXPECT_STREQ(predict({"relu", 10000, 256, 0, 1'000'000'000}, h200()).bound, "memory");
  EXPECT_STREQ(predict(product(4096, 4), h200()).bound, "products");
}

TEST(MachineModel, SingleLoadsTakeLonger) {
  EXPECT_GT(predict(product(264, 1), h200()).us, 1.2 * predict(product(264, 4), h200()).us);
}

TEST(MachineModel, SaysWhatItAssumes) {
  LaunchCost launch = product(264, 4);
  EXPECT_EQ(predict(launch, h200()).assumed, "");
  const double us = predict(launch, h200()).us;
  launch.product->splits = 4;
  EXPECT_NE(predict(launch, h200()).assumed.find("add up"), std::string::npos);
  EXPECT_GT(predict(launch, h200()).us, us);
  launch.product->splits = 1;
  launch.product->is_pass = true;
  EXPECT_NE(predict(launch, h200()).assumed, "");
}

// Kernels that were not measured: what is assumed of them, against what their makers hope for.
TEST(MachineModel, AssumesOfNewCores) {
  LaunchCost launch{"linear", 1056, 256};
  ProductWork work;
  work.cores = ProductWork::Cores::Tensor;
  work.tile_rows = work.tile_columns = 128;
  work.block_depth = 4096;
  work.pack = 8;
  launch.product = work;
  const double measured = predict(launch, h200()).us;
  EXPECT_EQ(predict(launch, h200()).assumed, "");
  launch.threads = 128;  // warps of 64x64
  const Prediction staged = predict(launch, h200());
  EXPECT_NE(staged.assumed, "");
  EXPECT_LT(staged.us, 0.75 * measured);
  launch.product->cores = ProductWork::Cores::Tf32;
  launch.product->pack = 4;
  const Prediction tf32 = predict(launch, h200());
  EXPECT_NE(tf32.assumed.find("TF32"), std::string::npos);
  EXPECT_GT(tf32.us, 1.5 * staged.us);

  LaunchCost ffma = product(264, 4);
  const double before = predict(ffma, h200()).us;
  ffma.product->step_depth = 16;
  EXPECT_LT(predict(ffma, h200()).us, before);
  EXPECT_NE(predict(ffma, h200()).assumed, "");
}

TEST(MachineModel, AddsUpAStep) {
  CostSheet sheet;
  sheet.launches = {product(264, 4), {"relu", 1000, 256, 0, 50'000'000}};
  sheet.launches[0].product->rows = 264 * 128;
  sheet.launches[0].product->columns = 64;
  sheet.launches[0].product->depth = 512;
  const StepPrediction step = predict(sheet, h200());
  ASSERT_EQ(step.launches.size(), 2U);
  EXPECT_DOUBLE_EQ(step.us, step.launches[0].us + step.launches[1].us + 2 * h200().launch_us);
  // 2.2 GFLOP at the peak, 50 MB at a copy's bandwidth.
  EXPECT_NEAR(
      step.floor_us,
      2 * 264 * 128 * 64 * 512e-6 / h200().peak_tflop_per_s[0] + 50'000 / h200().copy_gb_per_s,
      1e-6);
  EXPECT_LT(step.floor_us, step.us);
}

TEST(MachineModel, IsFoundByName) {
  EXPECT_EQ(&machine_model("h200"), &h200());
  EXPECT_THROW(machine_model("h100"), ValueError);
}

}  // namespace
}  // namespace warptape::tools
