// `warptape kernel`.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/device/on_device.h"
#include "emulator/profile/profile.h"
#include "tests/tools/command_line.h"

namespace warptape {
namespace {

#ifdef WARPTAPE_HAS_PTXAS
constexpr bool has_ptxas = WARPTAPE_HAS_PTXAS;
#else
constexpr bool has_ptxas = false;
#endif

const Arguments weight_norm = {"kernel", "weight_norm", "--shape", "64,576"};

TEST(KernelCommand, ListsWhatThereIs) {
  if (!has_gpu) {
    expect_fails({"kernel", "--list"}, {"cmake --preset simt-profile"});
    return;
  }
  const std::string out = expect_runs({"kernel", "--list"}).out;
  for (const char* name : {"weight_norm", "relu", "sum", "adamw", "grad_norm", "relayout"}) {
    EXPECT_NE(out.find(name), std::string::npos) << out;
  }
}

TEST(KernelCommand, RefusesWrongUsage) {
  expect_usage_error({"kernel"}, {"name", "--list"});
  if (has_gpu) {
    expect_usage_error({"kernel", "nothing"}, {"nothing", "weight_norm"});
  }
  expect_usage_error(weight_norm + Arguments{"--dtype", "int64"}, {"--dtype", "int64"});
  for (const std::string bad : {"0", "-1", "a", "1.5", "1e3", "0x4", "", "99999999999999999999"}) {
    expect_usage_error({"kernel", "exp", "--shape", "4," + bad},
                       {"--shape: got \"" + bad + "\", wanted a whole number above 0"});
  }
  expect_usage_error({"kernel", "exp", "--shape", "4,,4"}, {"--shape: got \"\""});
  expect_usage_error({"kernel", "exp", "--list"}, {"--list", "name"});
  expect_usage_error({"kernel", "--list", "--shape", "4"}, {"--list", "--shape"});
  expect_usage_error({"kernel", "--list", "--json", "-"}, {"--list", "--json"});
}

TEST(KernelCommand, PrintsTheProfileOrSaysWhichBuildCan) {
  if (!simt::profile::is_built_in) {
    expect_fails(weight_norm, {"cmake --preset simt-profile"});
    return;
  }
  const std::string out = expect_runs(weight_norm).out;
  for (const char* part : {"weight_norm forward and backward of (64, 576) float32", "weight_norm_",
                           ".cuh:", "device", "read", "times the counted"}) {
    EXPECT_NE(out.find(part), std::string::npos) << out << "\nlacks: " << part;
  }
  expect_fails({"kernel", "relayout", "--shape", "64,64"}, {"relayout", "(64, 64)"});
}

TEST(KernelCommand, PrintsThePlans) {
  const Arguments matmul = {"kernel", "matmul", "--shape", "64,32,16"};
  if (!simt::profile::is_built_in) {
    expect_fails(matmul, {"cmake --preset simt-profile"});
    return;
  }
  const std::string plan = "matmul: packs of 4, tiles of 64x64, 1 block of 2 steps";
  EXPECT_NE(expect_runs(matmul).out.find("\n" + plan + "\n"), std::string::npos);
  const auto json =
      nlohmann::json::parse(expect_runs(matmul + Arguments{"--json", "-"}).out, nullptr, false);
  EXPECT_EQ(json.at("plans").at(0), plan);
  EXPECT_EQ(json.at("plans").size(), 3u);  // 32 and 64 deep backward
  expect_fails({"kernel", "matmul", "--shape", "64,64"}, {"matmul", "(64, 64)", "(m, n, k)"});
}

TEST(KernelCommand, PrintsJson) {
  if (!simt::profile::is_built_in) {
    expect_fails(weight_norm + Arguments{"--json", "-"}, {"cmake --preset simt-profile"});
    return;
  }
  const auto json = nlohmann::json::parse(expect_runs(weight_norm + Arguments{"--json", "-"}).out,
                                          nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json.at("name"), "weight_norm");
  EXPECT_EQ(json.at("shape"), (std::vector<int64_t>{64, 576}));
  EXPECT_GE(json.at("moved_bytes"), json.at("counted_bytes"));
  int64_t moved = 0;
  for (const auto& kernel : json.at("kernels")) {
    EXPECT_GT(kernel.at("threads_per_block"), 0);
    EXPECT_EQ(kernel.at("occupancy").is_object(), has_ptxas);
    EXPECT_EQ(kernel.at("ptxas").is_object(), has_ptxas) << kernel.at("function");
    for (const auto& line : kernel.at("lines")) {
      EXPECT_GT(line.at("line"), 0) << line;
      moved += line.value("moved_bytes", int64_t{0});
    }
  }
  EXPECT_EQ(json.at("moved_bytes"), moved);
}

}  // namespace
}  // namespace warptape
