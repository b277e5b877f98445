// What `warptape train` writes, and what the options about data and order do.

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <iomanip>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"
#include "training/safetensors.h"

namespace warptape {
namespace {

const std::vector<std::string> weight_norm_keys = {
    "conv1.bias",     "conv1.weight_g", "conv1.weight_v", "conv2.bias", "conv2.weight_g",
    "conv2.weight_v", "fc1.bias",       "fc1.weight",     "fc2.bias",   "fc2.weight"};
const std::vector<std::string> run_files = {"best.safetensors", "checkpoint.safetensors",
                                            "config.json",      "last.safetensors",
                                            "metrics.csv",      "steps.csv"};
const std::vector<std::string> metrics_columns = {
    "epoch",         "step",          "train_loss", "test_loss",
    "test_accuracy", "learning_rate", "seconds",    "images_per_second"};

// A run on `data` with 8 x 8 images in batches of 8, for one epoch unless `more` says otherwise.
CommandResult train(const std::string& data, const std::string& out, const Arguments& more = {}) {
  Arguments arguments = {"train", "simple_cnn", "--data", data, "--out", out};
  arguments = arguments + Arguments{"--image-size", "8", "--batch-size", "8", "--threads", "1"};
  if (std::find(more.begin(), more.end(), "--epochs") == more.end()) {
    arguments = arguments + Arguments{"--epochs", "1"};
  }
  return expect_runs(arguments + more);
}

struct TrainedRun {
  TrainedRun(const TemporaryFolder& folder, const std::string& name, const Arguments& more = {},
             const std::string& data = "data")
      : path(folder.path(name)), printed(train(folder.path(data), path, more).out) {
    config = nlohmann::json::parse(bytes_of_file(path + "/config.json"), nullptr, false);
    metrics = parse_table(bytes_of_file(path + "/metrics.csv"));
    steps = parse_table(bytes_of_file(path + "/steps.csv"));
  }
  std::string file(const std::string& name) const { return bytes_of_file(path + "/" + name); }

  std::string path;
  std::string printed;
  nlohmann::json config;
  Table metrics;
  Table steps;
};

std::vector<double> numbers_to(int count) {
  std::vector<double> result;
  for (int i = 1; i <= count; ++i) {
    result.push_back(i);
  }
  return result;
}

TEST(TrainCommand, WritesARunFolder) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder, "data", 20);
  const TrainedRun run(folder, "a/b", {"--epochs", "2", "--seed", "3"});
  EXPECT_EQ(names_in(run.path), run_files);
  EXPECT_EQ(run.metrics.columns, metrics_columns);
  EXPECT_EQ(run.metrics.column("epoch"), numbers_to(2));
  EXPECT_EQ(run.metrics.column("step"), (std::vector<double>{3, 6}));
  EXPECT_EQ(run.metrics.column("learning_rate"), (std::vector<double>{1e-3, 1e-3}));
  for (const char* column : {"train_loss", "test_loss", "seconds", "images_per_second"}) {
    EXPECT_GT(run.metrics.column(column).at(1), 0) << column;
  }
  EXPECT_EQ(run.steps.columns,
            (std::vector<std::string>{"step", "loss", "learning_rate", "gradient_norm"}));
  EXPECT_EQ(run.steps.column("step"), numbers_to(6));
  EXPECT_GT(run.steps.column("gradient_norm").at(5), 0);
  const std::vector<double> losses = run.steps.column("loss");  // of 8, 8 and 4 images
  EXPECT_NEAR(run.metrics.column("train_loss").at(0),
              (8 * losses.at(0) + 8 * losses.at(1) + 4 * losses.at(2)) / 20, 1e-6);
  for (const char* name : {"/last.safetensors", "/best.safetensors"}) {
    EXPECT_EQ(read_keys(run.path + name), weight_norm_keys);
    EXPECT_EQ(load_safetensors(run.path + name).tensors[0].second.dtype(), float32);
  }
  EXPECT_NE(run.printed.find("SimpleCNN(\n  (conv1): Conv2d(3, 64,"), std::string::npos);
  EXPECT_NE(run.printed.find("best: epoch "), std::string::npos);
  EXPECT_EQ(run.printed.find('\r'), std::string::npos) << "a progress bar where output is piped";
}

TEST(TrainCommand, DescribesTheRunInConfigJson) {
  const TemporaryFolder folder;
  const std::string data = write_tiny_cifar10(folder, "data", 20);
  const TrainedRun run(folder, "run", {"--seed", "3", "--validation", "0.25", "--lr", "0.01"});
  const nlohmann::json wanted = {{"model", "simple_cnn"},
                                 {"data", data},
                                 {"data_kind", "CIFAR-10"},
                                 {"input_channels", 3},
                                 {"num_classes", 10},
                                 {"image_size", 8},
                                 {"train_rows", 15},
                                 {"validation_rows", 5},
                                 {"test_rows", 8},
                                 {"epochs", 1},
                                 {"batch_size", 8},
                                 {"optimizer", "adam"},
                                 {"lr", 0.01},
                                 {"seed", 3},
                                 {"dtype", "float32"},
                                 {"device", "cpu"},
                                 {"weight_norm", true},
                                 {"validation", 0.25},
                                 {"shuffle", true},
                                 {"clip_norm", nullptr},
                                 {"ema_decay", nullptr},
                                 {"decay", "weights"},
                                 {"init", nullptr}};
  for (const auto& [key, value] : wanted.items()) {
    EXPECT_EQ(run.config.value(key, nlohmann::json("absent")), value) << key;
  }
}

TEST(TrainCommand, RecognisesDataByContent) {
  struct Case {
    std::string name;
    std::string kind;
    int channels;
    int classes;
    size_t rows;
  };
  const TemporaryFolder folder;
  write_tiny_cifar10(folder, "ten");
  write_tiny_cifar100(folder, "hundred");
  write_tiny_idx(folder, "idx");
  for (const Case& wanted : {Case{"ten", "CIFAR-10", 3, 10, 2},
                             {"hundred", "CIFAR-100", 3, 100, 1},
                             {"idx", "IDX", 1, 4, 2}}) {
    SCOPED_TRACE(wanted.name);
    const TrainedRun run(folder, "run-" + wanted.name, {}, wanted.name);
    EXPECT_EQ(run.config.at("data_kind"), wanted.kind);
    EXPECT_EQ(run.config.at("input_channels"), wanted.channels);
    EXPECT_EQ(run.config.at("num_classes"), wanted.classes);
    EXPECT_EQ(run.steps.rows.size(), wanted.rows);
    const auto weights = read_weights(run.path + "/last.safetensors");
    EXPECT_EQ(weights.at("fc2.bias").size(), static_cast<size_t>(wanted.classes));
    EXPECT_EQ(weights.at("conv1.weight_v").size(), static_cast<size_t>(64 * wanted.channels * 9));
  }
}

TEST(TrainCommand, TrainsOnTheShippedDigitsInADatedFolderByDefault) {
  const TemporaryFolder folder;
  const Arguments arguments = {"train",       "simple_cnn", "--image-size", "8",
                               "--max-steps", "1",          "--threads",    "1"};
  expect_runs(arguments, folder.path());
  const std::vector<std::string> names = names_in(folder.path("runs"));
  ASSERT_EQ(names.size(), 1U);
  std::string pattern = names[0];  // digits as 0
  std::replace_if(
      pattern.begin(), pattern.end(), [](char c) { return c >= '0' && c <= '9'; }, '0');
  EXPECT_EQ(pattern, "simple_cnn-00000000-000000") << names[0];
  EXPECT_EQ(names_in(folder.path("runs/" + names[0])), run_files);
  const auto config = nlohmann::json::parse(folder.read("runs/" + names[0] + "/config.json"));
  EXPECT_EQ(config.at("data_kind"), "IDX");
  EXPECT_EQ(config.at("train_rows"), 1437);

  // Where the next minute's names are taken, there is a second folder for the same second.
  const TemporaryFolder taken;
  const std::time_t now = std::time(nullptr);
  for (std::time_t second = now; second < now + 60; ++second) {
    std::ostringstream name;
    name << std::put_time(std::localtime(&second), "runs/simple_cnn-%Y%m%d-%H%M%S");
    std::filesystem::create_directories(taken.path(name.str()));
  }
  expect_runs(arguments, taken.path());
  const std::vector<std::string> after = names_in(taken.path("runs"));
  EXPECT_EQ(after.size(), 61U);
  EXPECT_EQ(std::count_if(after.begin(), after.end(),
                          [](const std::string& name) { return name.ends_with("-2"); }),
            1);
}

TEST(TrainCommand, SplitsOffAValidationPartThatDecidesWhatIsBest) {
  const TemporaryFolder folder;
  folder.write("data/data_batch_1.bin", cifar10_records(cycling_labels(24, 3)));
  // Wrong labels: what is learnt from the training set makes the test set worse.
  const std::string learnt = cifar10_records(cycling_labels(8, 3));
  std::string wrong = learnt;
  for (size_t i = 0; i < 8; ++i) {
    wrong[i * 3073] = static_cast<char>(9 - i % 3);
  }
  folder.write("data/test_batch.bin", wrong);
  const Arguments four = {"--epochs", "4", "--validation", "0.25"};
  const TrainedRun run(folder, "run", four);
  std::vector<std::string> columns = metrics_columns;
  columns.insert(columns.end(), {"validation_loss", "validation_accuracy"});
  EXPECT_EQ(run.metrics.columns, columns);
  EXPECT_EQ(run.metrics.column("step").at(0), 3);  // 18 images of 24
  const TrainedRun plain(folder, "plain", {"--epochs", "4"});
  EXPECT_EQ(plain.metrics.columns, metrics_columns);
  EXPECT_EQ(plain.steps.rows.size(), 12U);

  // The best epoch: the highest accuracy, then the lowest loss.
  const auto best_of = [](const TrainedRun& of, const std::string& part) {
    const std::vector<double> accuracy = of.metrics.column(part + "_accuracy");
    const std::vector<double> loss = of.metrics.column(part + "_loss");
    size_t best = 0;
    for (size_t i = 1; i < accuracy.size(); ++i) {
      if (accuracy[i] > accuracy[best] || (accuracy[i] == accuracy[best] && loss[i] < loss[best])) {
        best = i;
      }
    }
    return best + 1;
  };
  // A shorter run ends with the weights that the longer one had at that epoch.
  const size_t best = best_of(run, "validation");
  ASSERT_NE(best, best_of(run, "test")) << run.file("metrics.csv");
  const TrainedRun shorter(folder, "shorter",
                           {"--epochs", std::to_string(best), "--validation", "0.25"});
  EXPECT_EQ(run.file("best.safetensors"), shorter.file("last.safetensors"));
  const size_t plain_best = best_of(plain, "test");
  ASSERT_LT(plain_best, 4U) << plain.file("metrics.csv");
  const TrainedRun plain_shorter(folder, "plain_shorter", {"--epochs", std::to_string(plain_best)});
  EXPECT_EQ(plain.file("best.safetensors"), plain_shorter.file("last.safetensors"));
  EXPECT_NE(plain.file("best.safetensors"), plain.file("last.safetensors"));
}

TEST(TrainCommand, ShowsTheDataAsTheyWereNamed) {
  const TemporaryFolder folder;
  const std::string data = write_tiny_cifar10(folder);
  for (const std::string& named : {std::string("data"), data}) {
    const CommandResult result = expect_runs(
        {"train", "mlp", "--data", named, "--out", "run-" + std::to_string(named.size()),
         "--image-size", "4", "--max-steps", "1", "--threads", "1"},
        folder.path());
    EXPECT_NE(result.out.find("10 classes (data)"), std::string::npos) << result.out;
  }
}

TEST(TrainCommand, StopsAtMaxSteps) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  const TrainedRun run(folder, "run", {"--epochs", "5", "--max-steps", "3"});
  EXPECT_EQ(run.steps.column("step"), numbers_to(3));
  EXPECT_EQ(run.metrics.column("epoch"), numbers_to(2));
  EXPECT_EQ(run.metrics.column("step"), (std::vector<double>{2, 3}));
}

TEST(TrainCommand, DropsALastBatchThatIsSmaller) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder, "data", 20);
  EXPECT_EQ(TrainedRun(folder, "all").steps.rows.size(), 3U);
  EXPECT_EQ(TrainedRun(folder, "dropped", {"--drop-last"}).steps.rows.size(), 2U);
}

TEST(TrainCommand, ShufflesAnewInEveryEpochUnlessToldNotTo) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  // Nothing is learnt, so the losses tell which images a batch held.
  const Arguments still = {"--epochs", "3", "--optimizer", "sgd", "--lr", "0"};
  const auto losses_of = [&](const std::string& name, const Arguments& more) {
    const std::vector<double> losses = TrainedRun(folder, name, still + more).steps.column("loss");
    EXPECT_EQ(losses.size(), 6U);
    return losses;
  };
  const std::vector<double> ordered = losses_of("ordered", {"--no-shuffle"});
  EXPECT_EQ(ordered.at(0), ordered.at(2));
  EXPECT_EQ(ordered.at(1), ordered.at(3));
  EXPECT_NE(ordered.at(0), ordered.at(1));
  const std::vector<double> shuffled = losses_of("shuffled", {});
  EXPECT_NE(shuffled.at(0), ordered.at(0));
  EXPECT_NE(shuffled.at(0), shuffled.at(2));
  EXPECT_NE(shuffled.at(2), shuffled.at(4));
  EXPECT_NEAR(shuffled.at(0) + shuffled.at(1), ordered.at(0) + ordered.at(1), 1e-5);
}

TEST(TrainCommand, IsAFunctionOfTheSeed) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  const TrainedRun first(folder, "first", {"--epochs", "2", "--seed", "5"});
  const TrainedRun again(folder, "again", {"--epochs", "2", "--seed", "5"});
  const TrainedRun other(folder, "other", {"--epochs", "2", "--seed", "6"});
  for (const char* name : {"steps.csv", "last.safetensors", "best.safetensors"}) {
    EXPECT_TRUE(first.file(name) == again.file(name)) << name;
    EXPECT_FALSE(first.file(name) == other.file(name)) << name;
  }
  // So are the order of the images and the validation part where the weights are given.
  const Arguments still = {"--init", first.path + "/last.safetensors", "--optimizer", "sgd", "--lr",
                           "0"};
  const auto with_seed = [&](const std::string& seed, const Arguments& more) {
    const std::string name = seed + "-" + std::to_string(more.size());
    return TrainedRun(folder, name, still + more + Arguments{"--seed", seed});
  };
  EXPECT_NE(with_seed("5", {}).steps.rows, with_seed("6", {}).steps.rows);
  const Arguments split = {"--no-shuffle", "--validation", "0.25"};
  EXPECT_NE(with_seed("5", split).metrics.column("validation_loss"),
            with_seed("6", split).metrics.column("validation_loss"));
}

TEST(TrainCommand, RunsThatStartAtOnceHaveFoldersOfTheirOwn) {
  constexpr int many = 32;
  const TemporaryFolder folder;
  const std::string data = write_tiny_cifar10(folder, "data", 6, 1);
  std::vector<std::unique_ptr<RunningProgram>> runs;
  for (int i = 0; i < many; ++i) {
    runs.push_back(std::make_unique<RunningProgram>(
        Arguments{"train", "simple_cnn", "--data", data, "--image-size", "4", "--max-steps", "1",
                  "--threads", "1", "--seed", std::to_string(i)},
        folder.path()));
  }
  for (const auto& run : runs) {
    const CommandResult result = run->wait();
    EXPECT_EQ(result.status, 0) << result.err;
  }
  std::set<int> seeds;
  const std::vector<std::string> names = names_in(folder.path("runs"));
  EXPECT_EQ(names.size(), size_t{many});
  for (const std::string& name : names) {
    EXPECT_EQ(names_in(folder.path("runs/" + name)), run_files);
    EXPECT_EQ(parse_table(folder.read("runs/" + name + "/steps.csv")).rows.size(), 1U);
    seeds.insert(
        nlohmann::json::parse(folder.read("runs/" + name + "/config.json")).at("seed").get<int>());
  }
  EXPECT_EQ(seeds.size(), size_t{many});
}

TEST(TrainCommand, WritesIntoAnEmptyFolderAndNoOther) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  std::filesystem::create_directory(folder.path("empty"));
  TrainedRun(folder, "empty");
  folder.write("taken/notes.txt", "mine");
  const std::string first_run = folder.read("empty/last.safetensors");
  for (const std::string name : {"empty", "taken", "data/test_batch.bin"}) {
    expect_fails({"train", "simple_cnn", "--data", folder.path("data"), "--out", folder.path(name),
                  "--image-size", "8", "--max-steps", "1"},
                 {folder.path(name), "it exists"});
  }
  EXPECT_TRUE(folder.read("empty/last.safetensors") == first_run);
  EXPECT_EQ(names_in(folder.path("taken")), std::vector<std::string>{"notes.txt"});
}

}  // namespace
}  // namespace warptape
