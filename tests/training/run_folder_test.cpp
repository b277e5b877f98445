#include "training/run_folder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "layers/linear.h"
#include "tests/temporary_folder.h"

namespace warptape {
namespace {

EpochMetrics epoch(int64_t number, double loss, double accuracy) {
  EpochMetrics metrics;
  metrics.epoch = number;
  metrics.step = 10 * number;
  metrics.train_loss = 0.5;
  metrics.test = {loss, accuracy};
  metrics.learning_rate = 0.25;
  metrics.seconds = 2;
  metrics.images_per_second = 100;
  return metrics;
}

constexpr const char* steps_header = "step,loss,learning_rate,gradient_norm\n";
constexpr const char* metrics_header =
    "epoch,step,train_loss,test_loss,test_accuracy,learning_rate,seconds,images_per_second\n";

TEST(RunFolders, RowsAreInTheFilesAtOnce) {
  const TemporaryFolder folder;
  RunFolder run(folder.path("run"), "{}\n", false);
  EXPECT_EQ(folder.read("run/config.json"), "{}\n");
  EXPECT_EQ(folder.read("run/steps.csv"), steps_header);
  EXPECT_EQ(folder.read("run/metrics.csv"), metrics_header);
  run.add_step({.epoch = 1, .step = 1, .loss = 2, .learning_rate = 0.5, .gradient_norm = 3});
  EXPECT_EQ(folder.read("run/steps.csv"), steps_header + std::string("1,2,0.5,3\n"));
  run.add_step({.epoch = 1, .step = 2, .loss = 1.5, .learning_rate = 0.5, .gradient_norm = 4});
  EXPECT_EQ(folder.read("run/steps.csv"), steps_header + std::string("1,2,0.5,3\n2,1.5,0.5,4\n"));
  Linear model(2, 2);
  EXPECT_TRUE(run.add_epoch(epoch(1, 0.75, 0.5), model));
  EXPECT_EQ(folder.read("run/metrics.csv"),
            metrics_header + std::string("1,10,0.5,0.75,0.5,0.25,2.000,100.0\n"));
}

TEST(RunFolders, KeepTheBestAndTheLast) {
  const TemporaryFolder folder;
  RunFolder run(folder.path("run"), "{}\n", false);
  Linear model(2, 2);
  EXPECT_TRUE(run.add_epoch(epoch(1, 0.75, 0.5), model));
  const std::string first = folder.read("run/last.safetensors");
  model.bias.assign(Tensor::ones({2}));
  EXPECT_FALSE(run.add_epoch(epoch(2, 0.5, 0.25), model));
  EXPECT_EQ(folder.read("run/best.safetensors"), first);
  const std::string second = folder.read("run/last.safetensors");
  EXPECT_NE(second, first);
  EXPECT_TRUE(run.add_epoch(epoch(3, 0.5, 0.5), model));
  EXPECT_EQ(folder.read("run/best.safetensors"), second);
}

TEST(RunFolders, ANumberThatIsNoneIsWrittenSoAndKeepsTheCheckpoints) {
  for (double bad : {std::nan(""), -std::nan(""), double{INFINITY}}) {
    const TemporaryFolder folder;
    RunFolder run(folder.path("run"), "{}\n", true);
    Linear model(2, 2);
    EpochMetrics first = epoch(1, bad, 1);
    first.validation = Evaluation{0.5, 1};  // what decides is finite, and still
    EXPECT_FALSE(run.add_epoch(first, model)) << "never best, even as the first";
    EXPECT_EQ(folder.names().size(), 1U);
    EXPECT_FALSE(std::filesystem::exists(folder.path("run/last.safetensors")));
    EpochMetrics second = epoch(2, 0.5, 0.5);
    second.validation = Evaluation{0.5, 0.5};
    EXPECT_TRUE(run.add_epoch(second, model));
    const std::string good = folder.read("run/last.safetensors");
    model.bias.assign(Tensor::ones({2}));
    EpochMetrics third = epoch(3, 0.25, 1);
    third.validation = Evaluation{bad, bad};
    EXPECT_FALSE(run.add_epoch(third, model));
    EXPECT_EQ(folder.read("run/last.safetensors"), good);
    EXPECT_EQ(folder.read("run/best.safetensors"), good);
    run.add_step({.epoch = 1, .step = 1, .loss = bad, .learning_rate = 0.5, .gradient_norm = bad});
    const std::string text = std::isnan(bad) ? "nan" : "inf";
    EXPECT_TRUE(folder.read("run/steps.csv").ends_with("\n1," + text + ",0.5," + text + "\n"));
    const std::string rows = folder.read("run/metrics.csv");
    EXPECT_NE(rows.find("\n1,10,0.5," + text + ",1,"), std::string::npos) << rows;
    EXPECT_TRUE(rows.ends_with("," + text + "," + text + "\n")) << rows;
  }
}

}  // namespace
}  // namespace warptape
