#include "training/run_folder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "layers/linear.h"
#include "tests/training/bad_files.h"

namespace warptape {
namespace {

EpochMetrics epoch(int64_t number, double loss, double accuracy, bool is_best = true) {
  EpochMetrics metrics;
  metrics.is_best = is_best;
  metrics.epoch = number;
  metrics.step = 10 * number;
  metrics.train_loss = 0.5;
  metrics.test = Evaluation{loss, accuracy};
  metrics.learning_rate = 0.25;
  metrics.seconds = 2;
  metrics.rows_per_second = 100;
  return metrics;
}

constexpr const char* steps_header = "step,loss,learning_rate,gradient_norm\n";
constexpr const char* metrics_header =
    "epoch,step,train_loss,test_loss,test_accuracy,learning_rate,seconds,images_per_second\n";

TEST(RunFolders, RowsAreInTheFilesAtOnce) {
  const TemporaryFolder folder;
  RunFolder run(folder.path("run"), "{}\n", RunColumns());
  EXPECT_EQ(folder.read("run/config.json"), "{}\n");
  EXPECT_EQ(folder.read("run/steps.csv"), steps_header);
  EXPECT_EQ(folder.read("run/metrics.csv"), metrics_header);
  run.add_step({.epoch = 1, .step = 1, .loss = 2, .learning_rate = 0.5, .gradient_norm = 3});
  EXPECT_EQ(folder.read("run/steps.csv"), steps_header + std::string("1,2,0.5,3\n"));
  run.add_step({.epoch = 1, .step = 2, .loss = 1.5, .learning_rate = 0.5, .gradient_norm = 4});
  EXPECT_EQ(folder.read("run/steps.csv"), steps_header + std::string("1,2,0.5,3\n2,1.5,0.5,4\n"));
  Linear model(2, 2);
  run.add_epoch(epoch(1, 0.75, 0.5), model);
  EXPECT_EQ(folder.read("run/metrics.csv"),
            metrics_header + std::string("1,10,0.5,0.75,0.5,0.25,2.000,100.0\n"));
}

TEST(RunFolders, HaveTheColumnsOfTheRun) {
  const TemporaryFolder folder;
  Linear model(2, 2);
  EpochMetrics metrics = epoch(1, 0, 0);
  metrics.test.reset();
  metrics.validation = Evaluation{.loss = 0.125};
  {
    RunFolder run(folder.path("regression"), "{}",
                  {.test = false, .validation = true, .metric = "", .rows = "rows"});
    run.add_epoch(metrics, model);
  }
  EXPECT_EQ(folder.read("regression/metrics.csv"),
            "epoch,step,train_loss,learning_rate,seconds,rows_per_second,validation_loss\n"
            "1,10,0.5,0.25,2.000,100.0,0.125\n");
  RunFolder run(folder.path("errors"), "{}", {.validation = true, .metric = "mae"});
  metrics.validation->metric = 0.25;
  run.add_epoch(metrics, model);
  EXPECT_EQ(folder.read("errors/metrics.csv"),
            "epoch,step,train_loss,test_loss,test_mae,learning_rate,seconds,images_per_second,"
            "validation_loss,validation_mae\n"
            "1,10,0.5,nan,nan,0.25,2.000,100.0,0.125,0.25\n");
}

TEST(RunFolders, KeepTheBestAndTheLast) {
  const TemporaryFolder folder;
  RunFolder run(folder.path("run"), "{}\n", RunColumns());
  Linear model(2, 2);
  run.add_epoch(epoch(1, 0.75, 0.5), model);
  const std::string first = folder.read("run/last.safetensors");
  model.bias.assign(Tensor::ones({2}));
  run.add_epoch(epoch(2, 0.5, 0.25, false), model);
  EXPECT_EQ(folder.read("run/best.safetensors"), first);
  const std::string second = folder.read("run/last.safetensors");
  EXPECT_NE(second, first);
  run.add_epoch(epoch(3, 0.5, 0.5), model);
  EXPECT_EQ(folder.read("run/best.safetensors"), second);
}

TEST(RunFolders, ANumberThatIsNoneIsWrittenSoAndKeepsTheCheckpoints) {
  for (double bad : {std::nan(""), -std::nan(""), double{INFINITY}}) {
    const TemporaryFolder folder;
    RunFolder run(folder.path("run"), "{}\n", {.validation = true});
    Linear model(2, 2);
    EpochMetrics first = epoch(1, bad, 1, false);
    first.validation = Evaluation{0.5, 1};  // what decides is finite, and still
    run.add_epoch(first, model);
    EXPECT_EQ(folder.names().size(), 1U);
    EXPECT_FALSE(std::filesystem::exists(folder.path("run/last.safetensors")));
    EpochMetrics second = epoch(2, 0.5, 0.5);
    second.validation = Evaluation{0.5, 0.5};
    run.add_epoch(second, model);
    const std::string good = folder.read("run/last.safetensors");
    model.bias.assign(Tensor::ones({2}));
    EpochMetrics third = epoch(3, 0.25, 1, false);
    third.validation = Evaluation{bad, bad};
    run.add_epoch(third, model);
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

TEST(RunFolders, ThatGoOnHaveTheRowsOfWhatIsDone) {
  const TemporaryFolder folder;
  Linear model(2, 2);
  {
    RunFolder run(folder.path("run"), "{}\n", RunColumns());
    for (int64_t step = 1; step <= 3; ++step) {
      run.add_step({.step = step, .loss = 2, .learning_rate = 0.5, .gradient_norm = 3});
    }
    run.add_epoch(epoch(1, 0.75, 0.5), model);
    run.add_epoch(epoch(2, 0.75, 0.5), model);
  }
  const std::string metrics = folder.read("run/metrics.csv");
  folder.write("run/steps.csv", folder.read("run/steps.csv") + "4,2,0.");  // killed while writing
  folder.write("run/last.safetensors.17-0.tmp", "half");
  folder.write("run/mine.tmp", "not the run's");
  {
    RunFolder run = RunFolder::reopen(folder.path("run"), {.step = 2, .epoch = 2}, RunColumns());
    EXPECT_EQ(folder.read("run/steps.csv"), steps_header + std::string("1,2,0.5,3\n2,2,0.5,3\n"));
    EXPECT_EQ(folder.read("run/metrics.csv"),
              metrics.substr(0, metrics.find('\n', metrics.find('\n') + 1) + 1));
    EXPECT_FALSE(std::filesystem::exists(folder.path("run/last.safetensors.17-0.tmp")));
    EXPECT_TRUE(std::filesystem::exists(folder.path("run/mine.tmp")));
    run.add_step({.step = 3, .loss = 1, .learning_rate = 0.5, .gradient_norm = 3});
    EXPECT_TRUE(folder.read("run/steps.csv").ends_with("\n2,2,0.5,3\n3,1,0.5,3\n"));
    expect_file_error([&] { RunFolder::reopen(folder.path("run"), {}, RunColumns()); },
                      {"run/steps.csv: another process is training there"});
    EXPECT_TRUE(folder.read("run/steps.csv").ends_with("3,1,0.5,3\n"));
  }
  expect_file_error([&] { RunFolder::reopen(folder.path("run"), {.step = 4}, RunColumns()); },
                    {"steps.csv: got 3 rows, wanted the 4 that the checkpoint has behind it"});
  expect_file_error(
      [&] { RunFolder::reopen(folder.path("run"), {.step = 1, .epoch = 2}, {.validation = true}); },
      {"metrics.csv: first line: got epoch,step,", "wanted epoch,step"});
  expect_file_error([&] { RunFolder::reopen(folder.path("none"), {.step = 1}, RunColumns()); },
                    {"none/steps.csv"});
  // From the beginning, whatever there is.
  std::filesystem::remove(folder.path("run/metrics.csv"));
  folder.write("run/steps.csv", "ste");
  RunFolder::reopen(folder.path("run"), {}, RunColumns());
  EXPECT_EQ(folder.read("run/steps.csv"), steps_header);
  EXPECT_EQ(folder.read("run/metrics.csv"), metrics_header);
}

}  // namespace
}  // namespace warptape
