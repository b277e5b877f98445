// `warptape train` whose loss stops being finite.

#include <gtest/gtest.h>

#include <filesystem>

#include "core/simt/build.h"
#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"

namespace warptape {
namespace {

// Eight images in batches of `batch`. The rate is fit to learn in the first epoch and breaks the
// model with the first step of the second.
Arguments diverging(const TemporaryFolder& folder, const std::string& out,
                    const std::string& batch) {
  return {"train",         "simple_cnn",
          "--data",        folder.path("data"),
          "--out",         folder.path(out),
          "--image-size",  "4",
          "--batch-size",  batch,
          "--epochs",      "4",
          "--optimizer",   "sgd",
          "--lr",          "1e-3",
          "--schedule",    "step",
          "--step-epochs", "1",
          "--gamma",       "1e33",
          "--validation",  "0.5",
          "--seed",        "1"};
}

std::string last_row(const std::string& table) {
  const size_t end = table.rfind('\n', table.size() - 2);
  return table.substr(end + 1);
}

void expect_keeps_the_first_epoch(const TemporaryFolder& folder, const Arguments& more) {
  folder.write("data/data_batch_1.bin", cifar10_records(cycling_labels(8, 2)));
  folder.write("data/test_batch.bin", cifar10_records(cycling_labels(4, 2)));

  // One step per epoch: its loss is finite, and the evaluation after it is not.
  const CommandResult whole = run_program(diverging(folder, "whole", "4") + more);
  EXPECT_EQ(whole.status, 1);
  EXPECT_NE(whole.err.find("[train] step 2: the test loss after it is nan"), std::string::npos)
      << whole.err;
  EXPECT_EQ(whole.out.find("-nan"), std::string::npos) << whole.out;
  EXPECT_NE(whole.out.find(" nan "), std::string::npos) << whole.out;
  const std::string metrics = folder.read("whole/metrics.csv");
  EXPECT_EQ(last_row(metrics).substr(0, 4), "2,2,") << metrics;
  EXPECT_NE(last_row(metrics).find(",nan,"), std::string::npos) << metrics;
  EXPECT_EQ(metrics.find("-nan"), std::string::npos) << metrics;

  // Two steps per epoch: the second one's loss is not finite.
  const CommandResult half = run_program(diverging(folder, "half", "2") + more);
  EXPECT_EQ(half.status, 1);
  EXPECT_NE(half.err.find("[train] step 4: the loss is nan"), std::string::npos) << half.err;
  EXPECT_EQ(last_row(folder.read("half/metrics.csv")).substr(0, 4), "1,2,");
  EXPECT_EQ(last_row(folder.read("half/steps.csv")).substr(0, 6), "4,nan,");

  for (const std::string batch : {"4", "2"}) {
    const std::string name = batch == "4" ? "whole" : "half";
    Arguments good = diverging(folder, "good" + batch, batch) + more;
    good = good + Arguments{"--max-steps", batch == "4" ? "1" : "2"};
    expect_runs(good);
    for (const std::string file : {"/last.safetensors", "/best.safetensors"}) {
      EXPECT_TRUE(folder.read(name + file) == folder.read("good" + batch + file)) << name + file;
    }
  }
}

TEST(TrainDiverges, EndsWithStatus1AndKeepsTheLastGoodCheckpoint) {
  const TemporaryFolder folder;
  expect_keeps_the_first_epoch(folder, {"--threads", "1"});
}

TEST(TrainDiverges, InTheFirstEpochLeavesNoCheckpoint) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  const CommandResult result = run_program({"train", "simple_cnn", "--data", folder.path("data"),
                                            "--out", folder.path("run"), "--image-size", "4",
                                            "--epochs", "1", "--optimizer", "sgd", "--lr", "1e35"});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.err.find("nan"), std::string::npos) << result.err;
  EXPECT_FALSE(std::filesystem::exists(folder.path("run/best.safetensors")));
  EXPECT_FALSE(std::filesystem::exists(folder.path("run/last.safetensors")));
}

#ifdef WARPTAPE_SIMT
TEST(TrainDiverges, OnCudaAsOnTheCpu) {
  const TemporaryFolder folder;
  expect_keeps_the_first_epoch(folder, {"--device", "cuda"});
}
#endif

}  // namespace
}  // namespace warptape
