// What the options about optimizer, schedule, clipping, dtype and first weights do, seen in the
// files of a run.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>

#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"
#include "training/image_loader.h"
#include "training/npy.h"
#include "training/safetensors.h"

namespace warptape {
namespace {

using Weights = std::map<std::string, std::vector<double>>;

// A run of 16 images in 2 steps per epoch; returns its folder.
std::string train(const TemporaryFolder& folder, const std::string& name, const Arguments& more) {
  if (!std::filesystem::exists(folder.path("data"))) {
    write_tiny_cifar10(folder);
  }
  const Arguments arguments = {"train",        "simple_cnn",
                               "--data",       folder.path("data"),
                               "--out",        folder.path(name),
                               "--image-size", "8",
                               "--batch-size", "8",
                               "--threads",    "1"};
  expect_runs(arguments + more);
  return folder.path(name);
}

Table steps_of(const std::string& run) {
  return parse_table(bytes_of_file(run + "/steps.csv"));
}

Weights last_weights(const std::string& run) {
  return read_weights(run + "/last.safetensors");
}

// Norm and largest element of before - after - shrink * before over all weights.
struct Change {
  double norm = 0;
  double largest = 0;
};
Change change_between(const Weights& before, const Weights& after, double shrink = 0) {
  Change change;
  for (const auto& [key, values] : before) {
    for (size_t i = 0; i < values.size(); ++i) {
      const double moved = values[i] - after.at(key).at(i) - shrink * values[i];
      change.norm += moved * moved;
      change.largest = std::max(change.largest, std::abs(moved));
    }
  }
  change.norm = std::sqrt(change.norm);
  return change;
}

TEST(TrainOptions, EveryOptimizerTakesItsFirstStep) {
  const TemporaryFolder folder;
  const Arguments one_step = {"--max-steps", "1", "--dtype", "float64"};
  const Weights start =
      last_weights(train(folder, "start", one_step + Arguments{"--optimizer", "sgd", "--lr", "0"}));
  struct Case {
    std::string name;
    Arguments arguments;
    double shrink;          // of the weights: learning rate times decoupled or added decay
    double norm_factor;     // the change is the gradient times this (0: not for Adam)
    double largest_change;  // Adam's first step: the learning rate
  };
  const std::vector<Case> cases = {
      {"sgd", {"--optimizer", "sgd", "--lr", "0.5"}, 0, 0.5, 0},
      {"momentum", {"--optimizer", "sgd", "--lr", "0.5", "--momentum", "0.9"}, 0, 0.5, 0},
      {"nesterov",
       {"--optimizer", "sgd", "--lr", "0.5", "--momentum", "0.9", "--nesterov"},
       0,
       0.95,
       0},
      {"decay",
       {"--optimizer", "sgd", "--lr", "0.5", "--weight-decay", "0.1", "--decay", "all"},
       0.05,
       0.5,
       0},
      {"default", {}, 0, 0, 1e-3},
      {"adam", {"--optimizer", "adam", "--lr", "0.01"}, 0, 0, 0.01},
      {"adamw", {"--optimizer", "adamw", "--lr", "0.01", "--decay", "all"}, 0.01 * 0.01, 0, 0.01},
      {"adamw2",
       {"--optimizer", "adamw", "--lr", "0.01", "--weight-decay", "2", "--decay", "all"},
       0.02,
       0,
       0.01}};
  for (const Case& wanted : cases) {
    SCOPED_TRACE(wanted.name);
    const std::string run = train(folder, wanted.name, one_step + wanted.arguments);
    const Change change = change_between(start, last_weights(run), wanted.shrink);
    const double gradient_norm = steps_of(run).column("gradient_norm").at(0);
    EXPECT_GT(gradient_norm, 0.01);
    if (wanted.norm_factor > 0) {
      EXPECT_NEAR(change.norm, wanted.norm_factor * gradient_norm, 1e-9);
    } else {
      EXPECT_NEAR(change.largest, wanted.largest_change, 1e-4 * wanted.largest_change);
    }
  }
}

TEST(TrainOptions, WeightDecayActsOnWeightsAlone) {
  const TemporaryFolder folder;
  const Arguments one_step = {"--max-steps", "1", "--dtype", "float64", "--optimizer", "sgd"};
  const auto weights = [&](const std::string& name, const Arguments& more) {
    return last_weights(train(folder, name, one_step + more));
  };
  const Weights start = weights("start", {"--lr", "0"});
  const Weights plain = weights("plain", {"--lr", "0.5"});
  const Weights decayed = weights("decayed", {"--lr", "0.5", "--weight-decay", "0.1"});
  for (const auto& [key, values] : start) {
    const bool decays = !key.ends_with("bias") && !key.ends_with("weight_g");
    for (size_t i = 0; i < values.size(); ++i) {
      const double shrunk = plain.at(key)[i] - decayed.at(key)[i];
      ASSERT_NEAR(shrunk, decays ? 0.05 * values[i] : 0, 1e-13) << key;
    }
  }
}

TEST(TrainOptions, MomentumActsFromTheSecondStep) {
  const TemporaryFolder folder;
  const Arguments two_steps = {"--optimizer", "sgd", "--lr", "0.1", "--epochs", "1"};
  const std::string plain = train(folder, "plain", two_steps);
  const std::string momentum =
      train(folder, "momentum", two_steps + Arguments{"--momentum", "0.9"});
  EXPECT_EQ(steps_of(plain).rows, steps_of(momentum).rows);
  EXPECT_GT(change_between(last_weights(plain), last_weights(momentum)).norm, 1e-4);
}

TEST(TrainOptions, EveryScheduleSetsTheLearningRate) {
  constexpr double pi = std::numbers::pi;
  const auto cosine = [](double low, double t, double end) {
    return low + (0.1 - low) * (1 + std::cos(pi * t / end)) / 2;
  };
  struct Case {
    std::string name;
    Arguments arguments;
    std::vector<double> rates;  // of the 6 steps
  };
  const std::vector<Case> cases = {
      {"default", {}, std::vector<double>(6, 0.1)},
      {"constant", {"--schedule", "constant"}, std::vector<double>(6, 0.1)},
      {"warmup", {"--warmup-steps", "3"}, {0.01, 0.04, 0.07, 0.1, 0.1, 0.1}},
      {"step",
       {"--schedule", "step", "--step-epochs", "1", "--gamma", "0.5"},
       {0.1, 0.1, 0.05, 0.05, 0.025, 0.025}},
      {"step2", {"--schedule", "step", "--step-epochs", "2"}, {0.1, 0.1, 0.1, 0.1, 0.01, 0.01}},
      {"cosine",
       {"--schedule", "cosine"},
       {0.1, cosine(0, 1, 6), cosine(0, 2, 6), 0.05, cosine(0, 4, 6), cosine(0, 5, 6)}},
      {"cosine2",
       {"--schedule", "cosine", "--min-lr", "0.02", "--warmup-steps", "2"},
       {0.01, 0.055, 0.1, cosine(0.02, 1, 4), 0.06, cosine(0.02, 3, 4)}}};
  const TemporaryFolder folder;
  const Arguments three_epochs = {"--epochs", "3", "--optimizer", "sgd", "--lr", "0.1"};
  for (const Case& wanted : cases) {
    SCOPED_TRACE(wanted.name);
    const std::string run = train(folder, wanted.name, three_epochs + wanted.arguments);
    const std::vector<double> rates = steps_of(run).column("learning_rate");
    ASSERT_EQ(rates.size(), wanted.rates.size());
    for (size_t i = 0; i < rates.size(); ++i) {
      EXPECT_NEAR(rates[i], wanted.rates[i], 1e-12) << "step " << i;
    }
    const Table metrics = parse_table(bytes_of_file(run + "/metrics.csv"));
    EXPECT_EQ(metrics.column("learning_rate"), (std::vector<double>{rates[1], rates[3], rates[5]}));
  }
}

TEST(TrainOptions, ScheduleEndsWithMaxSteps) {
  const TemporaryFolder folder;
  const std::string run = train(folder, "run",
                                {"--schedule", "cosine", "--optimizer", "sgd", "--lr", "0.1",
                                 "--epochs", "5", "--max-steps", "2"});
  EXPECT_EQ(steps_of(run).column("learning_rate"), (std::vector<double>{0.1, 0.05}));
}

TEST(TrainOptions, PatienceEndsTheRun) {
  const TemporaryFolder folder;
  const std::string run =
      train(folder, "run", {"--optimizer", "sgd", "--lr", "0", "--epochs", "9", "--patience", "2"});
  EXPECT_EQ(steps_of(run).rows.size(), 3 * 2U) << "two epochs behind the first, the best";
  EXPECT_NE(expect_runs({"train", "--resume", run}).out.find("the run is complete: 6 steps"),
            std::string::npos);
}

// What an optimizer declares is on the command line and in config.json.
TEST(TrainOptions, DeclaredOptionsReachTheOptimizer) {
  const TemporaryFolder folder;
  const Arguments one_step = {"--max-steps", "1", "--dtype", "float64"};
  const Weights start =
      last_weights(train(folder, "start", one_step + Arguments{"--optimizer", "sgd", "--lr", "0"}));
  const auto largest_change = [&](const std::string& name, const Arguments& arguments) {
    return change_between(start, last_weights(train(folder, name, one_step + arguments))).largest;
  };
  // A first step of lr g / (sqrt(1 - alpha) |g|), but where |g| is near eps.
  const Arguments rmsprop = {"--optimizer", "rmsprop"};
  EXPECT_NEAR(largest_change("rmsprop", rmsprop), 0.01 / std::sqrt(0.01), 1e-4);
  EXPECT_NEAR(largest_change("alpha", rmsprop + Arguments{"--alpha", "0.75"}), 0.02, 1e-5);
  EXPECT_NEAR(largest_change("centered", rmsprop + Arguments{"--alpha", "0.75", "--centered"}),
              0.01 / std::sqrt(0.25 * 0.75), 1e-5);
  EXPECT_LT(largest_change("eps", {"--optimizer", "adam", "--eps", "1e6"}), 1e-6);
  // The second step keeps this much of the first mean.
  const auto two = [&](const std::string& name, const std::string& beta1) {
    return last_weights(train(folder, name, {"--epochs", "1", "--beta1", beta1}));
  };
  EXPECT_GT(change_between(two("no-mean", "0"), two("mean", "0.9")).norm, 1e-4);
  const auto config = nlohmann::json::parse(folder.read("alpha/config.json"));
  EXPECT_EQ(config.at("alpha"), 0.75);
  EXPECT_EQ(config.at("lr"), 0.01);
  EXPECT_EQ(config.at("centered"), false);
  EXPECT_FALSE(config.contains("beta1"));
}

TEST(TrainOptions, ClipNormLimitsTheUpdate) {
  const TemporaryFolder folder;
  const Arguments one_step = {"--max-steps", "1", "--dtype", "float64", "--optimizer", "sgd"};
  const Weights start = last_weights(train(folder, "start", one_step + Arguments{"--lr", "0"}));
  const auto clipped_at = [&](const std::string& name, const std::string& limit) {
    return train(folder, name, one_step + Arguments{"--lr", "1", "--clip-norm", limit});
  };
  const std::string free = train(folder, "free", one_step + Arguments{"--lr", "1"});
  const double norm = steps_of(free).column("gradient_norm").at(0);
  ASSERT_GT(norm, 0.05);
  const std::string clipped = clipped_at("clipped", "0.01");
  EXPECT_EQ(steps_of(clipped).column("gradient_norm").at(0), norm) << "the norm before clipping";
  EXPECT_NEAR(change_between(start, last_weights(clipped)).norm, 0.01 * norm / (norm + 1e-6), 1e-9);
  const std::string wide = clipped_at("wide", "1000");
  EXPECT_EQ(bytes_of_file(wide + "/last.safetensors"), bytes_of_file(free + "/last.safetensors"));
}

TEST(TrainOptions, MeanAndStdAreThoseOfTheTrainingSetUnlessGiven) {
  const TemporaryFolder folder;
  const Arguments one_epoch = {"--epochs", "1"};
  const auto config_of = [](const std::string& run) {
    return nlohmann::json::parse(bytes_of_file(run + "/config.json"));
  };
  const std::string fitted = train(folder, "fitted", one_epoch);
  const ImageSet set = load_image_data(folder.path("data")).train;
  std::vector<int64_t> all(16);
  std::iota(all.begin(), all.end(), 0);
  const ChannelStatistics statistics = channel_statistics(set, all);
  EXPECT_EQ(config_of(fitted).at("mean"), statistics.mean);
  EXPECT_EQ(config_of(fitted).at("std"), statistics.std);
  const std::string mean = fmt::format("{}", fmt::join(statistics.mean, ","));
  const std::string std = fmt::format("{}", fmt::join(statistics.std, ","));
  const std::string given =
      train(folder, "given", one_epoch + Arguments{"--mean", mean, "--std", std});
  EXPECT_EQ(steps_of(given).rows, steps_of(fitted).rows);
  const std::string one =
      train(folder, "one", one_epoch + Arguments{"--mean", "0.25", "--std", "0.5"});
  EXPECT_EQ(config_of(one).at("mean"), (std::vector<double>{0.25, 0.25, 0.25}));
  EXPECT_EQ(config_of(one).at("std"), (std::vector<double>{0.5, 0.5, 0.5}));
  EXPECT_NE(steps_of(one).rows, steps_of(fitted).rows);
}

TEST(TrainOptions, MayStandBeforeTheModelAndNameAnyFolder) {
  const TemporaryFolder folder;
  const std::string data = write_tiny_cifar10(folder, "caf\xe9");  // Latin-1: no UTF-8
  expect_runs({"train", "--out", folder.path("run"), "--data", data, "--image-size", "8",
               "--max-steps", "1", "--mean", "0.25", "simple_cnn", "--threads", "1"});
  const auto config = nlohmann::json::parse(folder.read("run/config.json"));
  EXPECT_EQ(config.at("mean"), (std::vector<double>{0.25, 0.25, 0.25}));
}

TEST(TrainOptions, DtypeIsThatOfTheCheckpoints) {
  const TemporaryFolder folder;
  const std::string narrow = train(folder, "narrow", {"--epochs", "1"});
  const std::string wide = train(folder, "wide", {"--epochs", "1", "--dtype", "float64"});
  for (const char* name : {"/last.safetensors", "/best.safetensors"}) {
    for (const auto& [key, tensor] : load_safetensors(wide + name).tensors) {
      EXPECT_EQ(tensor.dtype(), float64) << key;
    }
    for (const auto& [key, tensor] : load_safetensors(narrow + name).tensors) {
      EXPECT_EQ(tensor.dtype(), float32) << key;
    }
  }
  EXPECT_LT(relative_difference(steps_of(narrow).column("loss"), steps_of(wide).column("loss")),
            1e-4);
}

TEST(TrainOptions, NoWeightNormKeepsPlainWeights) {
  const TemporaryFolder folder;
  const std::string run = train(folder, "run", {"--epochs", "1", "--no-weight-norm"});
  EXPECT_EQ(read_keys(run + "/last.safetensors"),
            (std::vector<std::string>{"conv1.bias", "conv1.weight", "conv2.bias", "conv2.weight",
                                      "fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight"}));
}

TEST(TrainOptions, InitTakesEveryNamingOfTheWeights) {
  const TemporaryFolder folder;
  save_npy(folder.path("x.npy"), tiny_images(5));
  const auto predict = [&](const std::string& checkpoint) {
    expect_runs({"predict", "simple_cnn", "--checkpoint", checkpoint, "--input",
                 folder.path("x.npy"), "--output", folder.path("y.npy"), "--threads", "1"});
    return as_doubles(load_npy(folder.path("y.npy")));
  };
  const StateDict state = tiny_state();
  const std::vector<double> wanted = predict(write_state(folder, "pair.safetensors", state));
  ASSERT_EQ(wanted.size(), 50U);
  constexpr Naming pair = Naming::Pair;
  constexpr Naming newer = Naming::Parametrizations;
  constexpr Naming plain = Naming::Plain;
  struct Case {
    Naming conv1, conv2, fc1;
  };
  int number = 0;
  for (const Case& naming : {Case{pair, pair, plain},
                             {newer, newer, plain},
                             {plain, plain, plain},
                             {pair, newer, plain},
                             {newer, plain, pair},
                             {plain, pair, newer}}) {
    const std::string name = std::to_string(number++);
    SCOPED_TRACE(name);
    const std::string init = write_state(
        folder, name + ".safetensors", with_naming(state, naming.conv1, naming.conv2, naming.fc1));
    EXPECT_LT(relative_difference(predict(init), wanted), 1e-6);
    // With a learning rate of 0 the run ends with the weights that it started from.
    const Arguments still = {"--init", init, "--optimizer", "sgd", "--lr", "0", "--max-steps", "1"};
    const std::string split = train(folder, name + "-split", still) + "/last.safetensors";
    const std::string folded =
        train(folder, name + "-folded", still + Arguments{"--no-weight-norm"}) +
        "/last.safetensors";
    EXPECT_LT(relative_difference(predict(split), wanted), 1e-6);
    EXPECT_LT(relative_difference(predict(folded), wanted), 1e-6);
    const Weights weights = read_weights(split);
    EXPECT_TRUE(weights.count("conv1.weight_g") == 1 && weights.count("conv2.weight_v") == 1);
    EXPECT_EQ(read_weights(folded).count("conv2.weight"), 1U);
    if (naming.conv1 != plain) {  // g and v themselves are kept
      EXPECT_EQ(weights.at("conv1.weight_g"),
                read_weights(folder.path("pair.safetensors")).at("conv1.weight_g"));
    }
  }
}

TEST(TrainOptions, InitMayComeFromPyTorchsWrappers) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  const StateDict state = tiny_state();
  StateDict wrapped;
  for (const auto& [key, tensor] : with_naming(state, Naming::Parametrizations, Naming::Pair)) {
    wrapped.emplace_back("module._orig_mod." + key, tensor);
  }
  const std::string init = write_state(folder, "init.safetensors", wrapped);
  const std::string note = init + R"(: took "module." and "_orig_mod." off its keys)";
  const CommandResult trained = expect_runs(
      {"train", "simple_cnn", "--data", folder.path("data"), "--out", folder.path("run"), "--init",
       init, "--image-size", "8", "--optimizer", "sgd", "--lr", "0", "--max-steps", "1"});
  EXPECT_NE(trained.out.find(note), std::string::npos) << trained.out;
  EXPECT_EQ(last_weights(folder.path("run")),
            read_weights(write_state(folder, "plain.safetensors", state)));
  save_npy(folder.path("x.npy"), tiny_images(3));
  const auto predict = [&](const std::string& checkpoint) {
    return expect_runs({"predict", "simple_cnn", "--checkpoint", checkpoint, "--input",
                        folder.path("x.npy"), "--output", folder.path("y.npy")})
        .out;
  };
  EXPECT_NE(predict(init).find(note), std::string::npos);
  const std::vector<double> logits = as_doubles(load_npy(folder.path("y.npy")));
  EXPECT_EQ(predict(folder.path("plain.safetensors")).find("took"), std::string::npos);
  EXPECT_EQ(as_doubles(load_npy(folder.path("y.npy"))), logits);
}

TEST(TrainOptions, ClassesMayBeMoreThanTheTrainingLabelsShow) {
  const TemporaryFolder folder;
  write_tiny_idx(folder);
  folder.write("data/t10k-labels-idx1-ubyte", idx_labels_file({0, 1, 2, 0, 1, 6}));
  const auto arguments = [&](const std::string& out) {
    return Arguments{"train",        "simple_cnn",
                     "--data",       folder.path("data"),
                     "--out",        folder.path(out),
                     "--image-size", "8",
                     "--epochs",     "1",
                     "--threads",    "1"};
  };
  expect_fails(arguments("none"), {"t10k-labels", "record 5", "got 6", "--classes"});
  expect_fails(arguments("none") + Arguments{"--classes", "6"}, {"got 6, wanted at most 5"});
  expect_runs(arguments("run") + Arguments{"--classes", "7"});
  EXPECT_EQ(nlohmann::json::parse(folder.read("run/config.json")).at("num_classes"), 7);
  const std::string best = folder.path("run/best.safetensors");
  EXPECT_EQ(read_weights(best).at("fc2.bias").size(), 7U);
  // What the checkpoint has classes for, predict takes.
  const std::string out = expect_runs({"predict", "simple_cnn", "--checkpoint", best, "--data",
                                       folder.path("data"), "--output", folder.path("y.npy")})
                              .out;
  EXPECT_NE(out.find("6 test images"), std::string::npos) << out;
  EXPECT_EQ(load_npy(folder.path("y.npy")).shape(), (Shape{6, 7}));
  expect_runs(arguments("next") + Arguments{"--classes", "7", "--init", best});
  expect_fails(arguments("none") + Arguments{"--classes", "8", "--init", best},
               {"the checkpoint has 7 classes, wanted 8 (--classes)"});
}

TEST(TrainOptions, InitMayHaveMoreClassesThanTheDataAndAnotherDtype) {
  const TemporaryFolder folder;
  SimpleCNN::Options options = tiny_model;
  options.num_classes = 12;
  const StateDict state = tiny_state(options);
  const std::string init = write_state(folder, "init.safetensors", state);
  const std::string run = train(
      folder, "run",
      {"--init", init, "--optimizer", "sgd", "--lr", "0", "--epochs", "1", "--dtype", "float64"});
  EXPECT_EQ(last_weights(run), read_weights(init));
  EXPECT_EQ(load_safetensors(run + "/last.safetensors").tensors[0].second.dtype(), float64);
}

}  // namespace
}  // namespace warptape
