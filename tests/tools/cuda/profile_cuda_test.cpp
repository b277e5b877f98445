// `warptape profile` on device "cuda", emulated or not.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/tools/command_line.h"

namespace warptape {
namespace {

TEST(ProfileCuda, KernelsAreJoinedWithOpsAndLayers) {
  const auto report = nlohmann::json::parse(
      expect_runs({"profile", "mlp", "--device", "cuda", "--batch-size", "2", "--steps", "1",
                   "--warmup", "1", "--gpu-libraries", "off", "--json", "-"})
          .out);
  std::multiset<std::string> products;
  for (const auto& kernel : report.at("kernels")) {
    if (kernel.at("op") == "linear" && kernel.contains("flops") && kernel.at("flops") > 0) {
      products.insert(fmt::format("{} {}", kernel.at("layer").get<std::string>(),
                                  kernel.at("phase").get<std::string>()));
      EXPECT_GT(kernel.at("blocks"), 0) << kernel.dump();
      EXPECT_GT(kernel.at("ms"), 0) << kernel.dump();
    }
  }
  // Both layers are one op of the tape.
  EXPECT_EQ(products, (std::multiset<std::string>{"fc1 backward", "fc1 forward", "fc2 backward",
                                                  "fc2 forward"}))
      << report.at("kernels").dump(1);
  EXPECT_GT(report.at("device_busy_ms"), 0);
  EXPECT_NE(report.at("device_times"), "");
}

TEST(ProfileCuda, AKernelAloneHasItsLine) {
  const std::string out = expect_runs({"profile", "kernel", "weight_norm", "--shape", "8,16"}).out;
  EXPECT_NE(out.find("weight_norm_forward <"), std::string::npos) << out;
  EXPECT_NE(out.find("weight_norm_backward <"), std::string::npos) << out;
  EXPECT_NE(out.find("warptape profile kernel weight_norm --shape 8,16\n"), std::string::npos)
      << out;
  EXPECT_NE(out.find("ncu --set full --import-source yes --launch-skip "), std::string::npos)
      << out;
}

}  // namespace
}  // namespace warptape
