// The cost sheet of a step whose kernels run, each launch profiled by itself.

#include "tools/cost_sheet.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/check.h"
#include "core/random.h"
#include "kernels/losses/losses.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "tools/bench_cases.h"
#include "tools/cost_report.h"
#include "training/optimizers.h"

namespace warptape::tools {
namespace {

// Small enough to run in a moment.
StepCase two_layers() {
  return {.name = "two_layers", .description = "", .batch_size = 8, .make = [](int64_t batch_size) {
            return StepParts{
                .model = std::make_unique<Sequential>(Linear(64, 32), Linear(32, 4)),
                .batch = {randn({batch_size, 64}), randn({batch_size, 4})},
                .loss = [](const Tensor& y, const Tensor& target) { return mse_loss(y, target); },
                .make_optimizer = [](const ParameterStates& states) -> std::unique_ptr<Optimizer> {
                  return std::make_unique<SGD>(states, SGD::Options{.lr = 0.01, .momentum = 0.9});
                }};
          }};
}

const LaunchCost& last(const CostSheet& sheet, const std::string& name) {
  const LaunchCost* found = nullptr;
  for (const LaunchCost& launch : sheet.launches) {
    found = launch.name == name ? &launch : found;
  }
  check<ValueError>(found != nullptr, "no launch {}", name);
  return *found;
}

// Measured at batches 8 and 16.
CostSheet sheet_of(int64_t batch) {
  return cost_sheet(two_layers(), {.batch_size = batch, .measure_at = 8});
}

TEST(CostSheetProfile, MeasuresEachLaunchAndScalesIt) {
  const CostSheet sheet = sheet_of(8);
  const CostSheet larger = sheet_of(32);
  ASSERT_EQ(sheet.not_scaled + larger.not_scaled, "");
  ASSERT_EQ(sheet.launches.size(), larger.launches.size());
  for (size_t i = 0; i < sheet.launches.size(); ++i) {
    const LaunchCost& small = sheet.launches[i];
    ASSERT_TRUE(small.traffic && larger.launches[i].traffic) << small.name;
    EXPECT_GT(small.traffic->sectors, 0) << small.name;
    EXPECT_DOUBLE_EQ(small.traffic->read_bytes + small.traffic->written_bytes,
                     32 * small.traffic->sectors);
    EXPECT_GE(small.traffic->bank_factor, 1);
  }
  // The first layer reads x, which grows, and its weight.
  const auto forward = [](const CostSheet& of) {
    return std::find_if(of.launches.begin(), of.launches.end(),
                        [](const LaunchCost& launch) { return launch.product.has_value(); });
  };
  const double weight = 4 * 64 * 32;
  const auto read_of_x = [&](const CostSheet& of) {
    return forward(of)->traffic->read_bytes - weight;
  };
  EXPECT_GT(read_of_x(sheet), 0);
  EXPECT_GT(read_of_x(larger), 2 * read_of_x(sheet));
  EXPECT_LE(read_of_x(larger), 4.01 * read_of_x(sheet));
  // The update does not depend on the batch. It reads p, g and a momentum, and writes p and the
  // momentum: what the dry run says of the tensors, the requests must say too.
  const LaunchCost& update = last(sheet, "optimizer_step");
  EXPECT_DOUBLE_EQ(last(larger, "optimizer_step").traffic->sectors, update.traffic->sectors);
  EXPECT_NEAR(update.traffic->written_bytes, static_cast<double>(update.written_bytes), 256);
  EXPECT_NEAR(update.traffic->read_bytes, static_cast<double>(update.bytes), 512);
  const std::string text = to_text(larger, nullptr);
  EXPECT_NE(text.find("measured at batches 8 and 16"), std::string::npos) << text;
}

}  // namespace
}  // namespace warptape::tools
