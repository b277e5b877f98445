// `warptape profile`: its options and its JSON; the page and the trace are profile_page_test.py's.

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "core/device/on_device.h"
#include "tests/tools/command_line.h"

namespace warptape {
namespace {

const Arguments quick = {"--batch-size", "2", "--steps", "1", "--warmup", "1", "--threads", "1"};

nlohmann::json report_of(const Arguments& model) {
  return nlohmann::json::parse(
      expect_runs(Arguments{"profile"} + model + quick + Arguments{"--json", "-"}).out);
}

// The ops of this name and phase, by layer.
std::map<std::string, nlohmann::json> rows_of(const nlohmann::json& report, const std::string& op,
                                              const std::string& phase) {
  std::map<std::string, nlohmann::json> rows;
  for (const auto& row : report.at("ops")) {
    if (row.at("op") == op && row.at("phase") == phase) {
      rows[row.at("layer")] = row;
    }
  }
  return rows;
}

TEST(ProfileCommand, CountsWhatSimpleCnnComputes) {
  const auto report = report_of({"simple_cnn", "--device", "cpu"});
  // Of 2 images: conv1 64 x 3 x 9 at 32 x 32 pixels, conv2 128 x 64 x 9 at 16 x 16.
  constexpr int64_t conv1 = int64_t{2} * 2 * 32 * 32 * 64 * 3 * 9;
  constexpr int64_t conv2 = int64_t{2} * 2 * 16 * 16 * 128 * 64 * 9;
  const auto forward = rows_of(report, "conv2d", "forward");
  EXPECT_EQ(forward.at("conv1").at("flops"), conv1);
  EXPECT_EQ(forward.at("conv2").at("flops"), conv2);
  const auto backward = rows_of(report, "conv2d", "backward");
  EXPECT_EQ(backward.at("conv1").at("flops"), conv1) << "images need no gradient";
  EXPECT_EQ(backward.at("conv2").at("flops"), 2 * conv2);
  const auto linear = rows_of(report, "linear", "backward");
  EXPECT_EQ(linear.at("fc1").at("flops"), 2 * int64_t{2} * 2 * 8192 * 256);
  // The optimizer reads values, gradients and momenta, and writes values and momenta.
  const auto optimizer = rows_of(report, "optimizer", "forward").at("");
  EXPECT_DOUBLE_EQ(optimizer.at("bytes_read").get<double>() * 2,
                   optimizer.at("bytes_written").get<double>() * 3);
  EXPECT_FALSE(rows_of(report, "step", "forward").at("").contains("flops"));
}

TEST(ProfileCommand, NamesWhatHoldsTheMemory) {
  const auto memory = report_of({"simple_cnn", "--device", "cpu"}).at("memory");
  std::map<std::string, int64_t> holders;
  int64_t total = 0;
  for (const auto& holder : memory.at("holders")) {
    holders[holder.at("layer").get<std::string>() + ": " + holder.at("what").get<std::string>()] =
        holder.at("bytes");
    total += holder.at("bytes").get<int64_t>();
  }
  EXPECT_EQ(total, memory.at("peak_bytes"));
  EXPECT_EQ(holders.at("fc1: parameter weight"), 4 * 8192 * 256);
  EXPECT_EQ(holders.at("fc1: gradient of weight"), 4 * 8192 * 256);
}

TEST(ProfileCommand, KnowsSequences) {
  const auto report = report_of({"tcn_c64", "--device", "cpu"});
  const auto backward = rows_of(report, "conv1d", "backward");
  EXPECT_GE(backward.size(), 8U) << "two in each of four blocks";
  for (const auto& [layer, row] : backward) {
    EXPECT_NE(layer, "");
    EXPECT_GT(row.at("flops"), 0) << layer;
  }
}

TEST(ProfileCommand, RefusesWhatCannotBe) {
  expect_usage_error({"profile"}, {"model"});
  expect_usage_error({"profile", "no_such_model"}, {"no_such_model"});
  expect_usage_error({"profile", "mlp", "--steps", "0"}, {"--steps", "0"});
  const TemporaryFolder folder;
  const std::string same = folder.path("out");
  expect_fails(Arguments{"profile", "mlp", "--trace", same, "--html", same} + quick,
               {"--html", "the file of --trace"});
  expect_fails({"profile", "mlp", "--html", folder.path("none/page.html")}, {"none/page.html"});
  if (!has_gpu) {
    expect_fails({"profile", "kernel", "weight_norm"}, {"no device cuda"});
  }
}

}  // namespace
}  // namespace warptape
