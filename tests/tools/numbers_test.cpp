// Every number on a command line and in the environment is decimal.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/device/device.h"
#include "core/simt/build.h"
#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"

namespace warptape {
namespace {

// An option that takes a number, of a command that gets so far as to read it.
struct Numeric {
  Arguments command;
  std::string option;
  bool is_whole;
};

std::vector<Numeric> numeric_options() {
  const Arguments train = {"train", "simple_cnn", "--data", "none"};
  const Arguments predict = {"predict", "simple_cnn", "--checkpoint", "c",
                             "--input", "x",          "--output",     "y"};
  const Arguments step = {"bench", "step", "simple_cnn"};
  std::vector<Numeric> options;
  for (const char* option :
       {"--image-size", "--classes", "--batch-size", "--epochs", "--max-steps", "--warmup-steps",
        "--step-epochs", "--patience", "--seed", "--threads"}) {
    options.push_back({train, option, true});
  }
  for (const char* option :
       {"--mean", "--std", "--validation", "--lr", "--momentum", "--weight-decay", "--gamma",
        "--min-lr", "--clip-norm", "--ema-decay"}) {
    options.push_back({train, option, false});
  }
  options.push_back({predict, "--threads", true});
  for (const char* option : {"--batch-size", "--steps", "--warmup", "--threads"}) {
    options.push_back({step, option, true});
  }
  options.push_back({{"bench", "kernels"}, "--repeats", true});
  options.push_back({{"kernel", "exp"}, "--shape", true});
  return options;
}

TEST(Numbers, AreDecimalOrRefused) {
  const TemporaryFolder folder;
  std::vector<std::string> bad_whole = {"0x10", "0b1", "1_000", "1'000", "1e2", "8.0"};
  std::vector<std::string> bad_any = {"0x1p3", "1_000.5", "1,,2", ",1", "1,", "1e999"};
  for (const char* text : {"", " 8", "8 ", "8x", "--8", "8-", "99999999999999999999999x"}) {
    bad_whole.emplace_back(text);
    bad_any.emplace_back(text);
  }
  bad_whole.emplace_back("18446744073709551616");
  const auto refuse = [&](const Numeric& numeric, const std::string& text) {
    // Not "--seed --8", which would be an option without a value.
    expect_usage_error(numeric.command + Arguments{numeric.option + "=" + text}, {numeric.option},
                       folder.path());
  };
  // All texts for one option of each way of reading, some for all the others.
  for (const Numeric& numeric : numeric_options()) {
    const bool all = numeric.option == "--seed" || numeric.option == "--mean" ||
                     numeric.option == "--shape" || numeric.option == "--lr";
    const std::vector<std::string>& bad = numeric.is_whole ? bad_whole : bad_any;
    for (size_t i = 0; i < (all ? bad.size() : 3); ++i) {
      refuse(numeric, bad[i]);
    }
  }
  EXPECT_EQ(folder.names(), std::vector<std::string>{});
}

TEST(Numbers, MessageSaysWhatWasFoundAndWanted) {
  expect_usage_error({"train", "simple_cnn", "--seed", "0x10"},
                     {"--seed: got \"0x10\", wanted a whole number", "decimal"});
  expect_usage_error({"train", "simple_cnn", "--seed", ""}, {"--seed", "got"});
  expect_usage_error({"train", "simple_cnn", "--seed=", "5"}, {"--seed=", "wanted a value"});
  expect_usage_error({"train", "simple_cnn", "--epochs", "0"},
                     {"--epochs: got \"0\", wanted a whole number from 1 to 1099511627776"});
  expect_usage_error({"train", "simple_cnn", "--tf32=010"}, {"tf32", "flag"});
}

TEST(Numbers, MayHaveZerosInFront) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  expect_runs({"train",        "simple_cnn",
               "--data",       folder.path("data"),
               "--out",        folder.path("run"),
               "--image-size", "010",
               "--batch-size", "008",
               "--epochs",     "01",
               "--max-steps",  "01",
               "--seed",       "010",
               "--lr",         "00.010",
               "--mean",       "00.5,010e-1,1",
               "--threads",    "01"});
  const auto config = nlohmann::json::parse(folder.read("run/config.json"));
  EXPECT_EQ(config.at("image_size"), 10);
  EXPECT_EQ(config.at("batch_size"), 8);
  EXPECT_EQ(config.at("seed"), 10);
  EXPECT_EQ(config.at("lr"), 0.01);
  EXPECT_EQ(config.at("mean"), (std::vector<double>{0.5, 1, 1}));
  expect_runs({"train", "simple_cnn", "--data", folder.path("data"), "--out", folder.path("b"),
               "--image-size", "8", "--max-steps", "1", "--threads", "1", "--seed",
               "18446744073709551615"});
  EXPECT_EQ(nlohmann::json::parse(folder.read("b/config.json")).at("seed"), UINT64_MAX);
}

TEST(Numbers, OfTheEnvironmentAreDecimalToo) {
#ifndef WARPTAPE_SIMT
  GTEST_SKIP() << "nothing reads them";
#endif
  for (const std::string bad : {"0x10", "1_0", "5 ", "-1", "18446744073709551616"}) {
    const EnvironmentVariable seed("WARPTAPE_SIMT_SEED", bad);
    expect_fails({"bench", "kernels", "--device", "cuda", "--quick", "--only", "sum"},
                 {"WARPTAPE_SIMT_SEED: got \"" + bad + "\""});
  }
  const EnvironmentVariable threads("WARPTAPE_SIMT_THREADS", "4294967297");
  expect_fails({"bench", "kernels", "--device", "cuda", "--quick", "--only", "sum"},
               {"WARPTAPE_SIMT_THREADS: got \"4294967297\", wanted", "4294967295"});
}

}  // namespace
}  // namespace warptape
