// warptape train, predict and sample, of series, texts and music.

#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"
#include "training/npy.h"
#include "training/safetensors.h"

namespace warptape {
namespace {

Arguments train(const TemporaryFolder& folder, const std::string& task, const Arguments& more) {
  return Arguments{"train",         "tcn",
                   "--task",        task,
                   "--channels",    "8,8",
                   "--kernel-size", "3",
                   "--batch-size",  "4",
                   "--device",      "cpu",
                   "--out",         folder.path("run")} +
         more;
}

std::string series_file(const std::string& classes) {
  return "@problemName Tiny\n@classLabel true " + classes +
         "\n@data\n1,2,3,5:0,0,1,1:up\n5,3:1,0:down\n2,4,8:1,1,0:up\n9,7,4,2,1:0,1,0,1,0:down\n";
}

TEST(LabelledCommands, TrainAndPredictSeries) {
  const TemporaryFolder folder;
  const std::string data = folder.write("Tiny_TRAIN.ts", series_file("up down"));
  const std::string test = folder.write("Tiny_TEST.ts", series_file("down up"));
  for (const std::string pooling : {"last", "mean"}) {
    const CommandResult trained = expect_runs(
        train(folder, "series", {"--data", data, "--pooling", pooling, "--epochs", "2"}));
    EXPECT_NE(trained.out.find("Tiny: 4 training, 4 test series of 2 channels, 5 steps; the "
                               "shortest 2; 2 classes"),
              std::string::npos)
        << trained.out;
    EXPECT_NE(trained.out.find("test accuracy"), std::string::npos) << trained.out;
    const std::string checkpoint = folder.path("run/last.safetensors");
    const Arguments predict{"predict", "tcn", "--checkpoint", checkpoint, "--device", "cpu"};
    const CommandResult told =
        expect_runs(predict + Arguments{"--data", test, "--output", folder.path("Y.npy"), "--names",
                                        folder.path("names.txt")});
    const double accuracy = parse_table(folder.read("run/metrics.csv")).column("test_accuracy")[1];
    EXPECT_NE(told.out.find(std::string("4 series, accuracy ") +
                            std::to_string(100 * accuracy).substr(0, 5)),
              std::string::npos)
        << told.out << accuracy;
    const std::vector<double> y = as_doubles(load_npy(folder.path("Y.npy")));
    ASSERT_EQ(y.size(), 8U);
    std::istringstream names(folder.read("names.txt"));
    std::string name;
    for (size_t i = 0; i < 4; ++i) {
      ASSERT_TRUE(std::getline(names, name));
      EXPECT_EQ(name, y[2 * i] >= y[2 * i + 1] ? "up" : "down") << i;
    }
    EXPECT_FALSE(std::getline(names, name));
    // An array of whole sequences gets one answer each, as well.
    save_npy(folder.path("X.npy"), Tensor::ones({3, 2, 4}));
    expect_runs(predict +
                Arguments{"--input", folder.path("X.npy"), "--output", folder.path("Z.npy")});
    EXPECT_EQ(load_npy(folder.path("Z.npy")).shape(), Shape({3, 2})) << pooling;
    // The same series in an array or in a file.
    save_npy(folder.path("X.npy"), tensor<float>({2, 4, 8, 1, 1, 0}, {1, 2, 3}));
    expect_runs(predict +
                Arguments{"--input", folder.path("X.npy"), "--output", folder.path("Z.npy")});
    EXPECT_LE(relative_difference(as_doubles(load_npy(folder.path("Z.npy"))), {y[4], y[5]}), 1e-5);
    expect_fails(
        predict + Arguments{"--data", test, "--output", folder.path("no.npy"), "--every-step"},
        {"[predict] --every-step: got --data"});
    EXPECT_NE(expect_runs({"inspect", "tcn", "--checkpoint", checkpoint})
                  .out.find("of series, 2 classes; normalised by channel; the " + pooling),
              std::string::npos);
    const std::string other =
        folder.write("other.ts", "@classLabel true up left\n@data\n1:2:left\n");
    expect_fails(predict + Arguments{"--data", other, "--names", folder.path("no.txt")},
                 {"other.ts", "the class \"left\""});
    EXPECT_FALSE(std::filesystem::exists(folder.path("no.txt")));
    expect_fails(predict + Arguments{"--data", test, "--names", test}, {"--names", "reads"});
    std::filesystem::remove_all(folder.path("run"));
  }
}

TEST(LabelledCommands, TrainOnATextAndWriteOne) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 30; ++i) {
    text += "ab\xc3\xa4 ";
  }
  const std::string data = folder.write("text.txt", text);
  const CommandResult trained = expect_runs(
      train(folder, "char",
            {"--data", data, "--length", "8", "--warm-up", "2", "--embedding", "4", "--epochs",
             "20", "--lr", "0.02", "--dropout", "0", "--embedding-dropout", "0"}));
  EXPECT_NE(trained.out.find("text: 18 training, 2 test windows of indices below 4, 8 steps; 120 "
                             "characters, 108 for training"),
            std::string::npos)
      << trained.out;
  EXPECT_NE(trained.out.find("test bits_per_character "), std::string::npos) << trained.out;
  const std::string checkpoint = folder.path("run/last.safetensors");
  const Arguments sample{"sample",     "--checkpoint", checkpoint, "--prompt",
                         "ab\xc3\xa4", "--length",     "9"};
  // It has learnt these few characters by heart.
  EXPECT_EQ(expect_runs(sample + Arguments{"--temperature", "0"}).out,
            "ab\xc3\xa4 ab\xc3\xa4 ab\xc3\xa4 \n");
  const auto hot = [&](const char* seed) {
    return expect_runs(sample + Arguments{"--temperature", "100", "--seed", seed}).out;
  };
  EXPECT_EQ(hot("1"), hot("1"));
  EXPECT_NE(hot("1"), hot("2"));
  EXPECT_EQ(expect_runs(sample + Arguments{"--temperature", "100", "--top-k", "1"}).out,
            "ab\xc3\xa4 ab\xc3\xa4 ab\xc3\xa4 \n");
  expect_fails({"sample", "--checkpoint", checkpoint, "--prompt", "abz"},
               {"[sample] --prompt: character 3: got \"z\""});
  expect_fails({"sample", "--checkpoint", checkpoint, "--prompt", ""},
               {"--prompt: got no character"});
  expect_usage_error(sample + Arguments{"--temperature", "-1"}, {"--temperature", "0 or more"});
  expect_fails({"stream", "--checkpoint", checkpoint}, {"[stream]", "indices", "warptape sample"});
  // Indices in, logits out.
  save_npy(folder.path("X.npy"), tensor<int64_t>({0, 1, 2, 3}, {2, 2}));
  const Arguments predict{"predict", "tcn",      "--checkpoint",       checkpoint, "--device",
                          "cpu",     "--output", folder.path("Y.npy"), "--input"};
  expect_runs(predict + Arguments{folder.path("X.npy")});
  EXPECT_EQ(load_npy(folder.path("Y.npy")).shape(), Shape({2, 2, 4}));
  save_npy(folder.path("X.npy"), Tensor::zeros({2, 1, 2}));
  expect_fails(predict + Arguments{folder.path("X.npy")}, {"(2, 1, 2)", "indices (N, L) of int64"});
  save_npy(folder.path("X.npy"), tensor<int64_t>({0, 1, 0, 1000}, {2, 2}));
  expect_fails(predict + Arguments{folder.path("X.npy")},
               {"X.npy: sequence 1, step 1: got 1000, wanted 0 to "});
  expect_fails({"predict", "tcn", "--checkpoint", checkpoint, "--data", data},
               {"--data: got a checkpoint of no series"});
  EXPECT_NE(expect_runs({"inspect", "tcn", "--checkpoint", checkpoint}).out.find("EmbeddedTCN"),
            std::string::npos);
}

TEST(LabelledCommands, TrainOnMusic) {
  const TemporaryFolder folder;
  const std::string data = folder.write("a_TRAIN.txt", "60\n\n61 64\n60\n---\n40\n41\n");
  const std::string test = folder.write("b.txt", "60\n61\n---\n64\n\n65\n");
  const CommandResult trained =
      expect_runs(train(folder, "music", {"--data", data, "--test-data", test, "--epochs", "2"}));
  EXPECT_NE(trained.out.find("music: 2 training, 2 test pieces of 88 channels, 3 steps"),
            std::string::npos)
      << trained.out;
  EXPECT_NE(trained.out.find("test nll "), std::string::npos) << trained.out;
  EXPECT_NE(expect_runs({"train", "--resume", folder.path("run")}).out.find("the run is complete"),
            std::string::npos);
  expect_fails({"sample", "--checkpoint", folder.path("run/last.safetensors"), "--prompt", "a"},
               {"a checkpoint of no text"});
}

TEST(LabelledCommands, RefuseWhatDoesNotFit) {
  const TemporaryFolder folder;
  const std::string data = folder.write("a_TRAIN.ts", series_file("up down"));
  expect_fails(train(folder, "series", {}), {"[train] --data: not given, wanted a .ts file"});
  expect_fails(train(folder, "char", {}), {"[train] --data: not given, wanted a text file"});
  expect_fails(train(folder, "series", {"--data", data}), {"--test-data: not given"});
  expect_fails(train(folder, "series", {"--data", folder.write("b.ts", "1,2\n")}),
               {"[load_ts]", "b.ts: line 1"});
  expect_fails(train(folder, "series", {"--data", data, "--test-data", data, "--warm-up", "3"}),
               {"[train] --warm-up: got --task series, wanted copy-memory, char or music"});
  expect_usage_error(train(folder, "series", {"--data", data, "--pooling", "first"}),
                     {"--pooling: got \"first\"", "last or mean"});
  expect_fails(train(folder, "char", {"--data", folder.write("c", "a\n\xff")}),
               {"[load_characters]", "c: line 2: got the byte 0xff"});
  EXPECT_FALSE(std::filesystem::exists(folder.path("run"))) << "nothing is half-written";
}

}  // namespace
}  // namespace warptape
