// warptape train, predict and inspect, of a model of sequences.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/random.h"
#include "models/tcn.h"
#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"
#include "training/npy.h"
#include "training/safetensors.h"

namespace warptape {
namespace {

using Json = nlohmann::json;

Arguments adding_run(const TemporaryFolder& folder, const Arguments& more = {}) {
  Arguments arguments = {"train",
                         "tcn",
                         "--task",
                         "adding",
                         "--length",
                         "6",
                         "--train-sequences",
                         "20",
                         "--test-sequences",
                         "4",
                         "--channels",
                         "4,3",
                         "--kernel-size",
                         "3",
                         "--epochs",
                         "2",
                         "--batch-size",
                         "8",
                         "--device",
                         "cpu",
                         "--out",
                         folder.path("run")};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(SequenceCommands, TrainAndPredict) {
  const TemporaryFolder folder;
  const CommandResult trained =
      expect_runs(adding_run(folder, {"--dilations", "2,1", "--activation", "gelu"}));
  EXPECT_NE(
      trained.out.find("adding problem: 20 training, 4 test sequences of 2 channels, 6 steps"),
      std::string::npos)
      << trained.out;
  EXPECT_NE(trained.out.find("receptive_field=13"), std::string::npos);
  EXPECT_NE(trained.out.find("best: epoch"), std::string::npos);
  EXPECT_EQ(trained.out.find("accuracy"), std::string::npos) << "there is none";
  EXPECT_EQ(parse_table(folder.read("run/metrics.csv")).rows.size(), 2U);
  EXPECT_NE(expect_runs({"train", "--resume", folder.path("run")}).out.find("the run is complete"),
            std::string::npos);

  // What the library makes of the same weights, dilations and activation.
  const std::string checkpoint = folder.path("run/last.safetensors");
  TCN::Options options;
  options.net.input_channels = 2;
  options.net.channels = {4, 3};
  options.net.kernel_size = 3;
  options.net.dilations = {2, 1};
  options.net.block.activation = BlockActivation::GELU;
  TCN model(options);
  load_state_dict(model, load_safetensors(checkpoint).tensors);
  model.eval();
  manual_seed(1);
  const Tensor x = randn({5, 2, 9});
  save_npy(folder.path("X.npy"), x);
  const Arguments predict = {"predict",  "tcn",     "--checkpoint",
                             checkpoint, "--input", folder.path("X.npy"),
                             "--device", "cpu",     "--output"};
  Arguments last = predict;
  last.push_back(folder.path("Y.npy"));
  expect_runs(last);
  const Tensor y = load_npy(folder.path("Y.npy"));
  EXPECT_EQ(y.shape(), Shape({5, 1}));
  EXPECT_LE(relative_difference(as_doubles(y), as_doubles(model(x))), 1e-6);
  Arguments every = predict;
  every.insert(every.end(), {folder.path("Z.npy"), "--every-step"});
  expect_runs(every);
  const Tensor z = load_npy(folder.path("Z.npy"));
  ASSERT_EQ(z.shape(), Shape({5, 9, 1}));
  EXPECT_NEAR(as_doubles(z)[8], as_doubles(y)[0], 1e-6) << "its last step is the last output";

  const Json told =
      Json::parse(expect_runs({"inspect", "tcn", "--checkpoint", checkpoint, "--json"}).out);
  EXPECT_EQ(told.at("receptive_field"), 13);
  EXPECT_EQ(told.at("parameters"), count_parameters(model));

  save_npy(folder.path("X3.npy"), randn({1, 3, 4}));
  Arguments wrong = predict;
  wrong[5] = folder.path("X3.npy");
  wrong.push_back(folder.path("W.npy"));
  expect_fails(wrong, {"X3.npy: got 3 channels in shape (1, 3, 4)", "takes 2"});
  save_npy(folder.path("X2.npy"), randn({3, 4}));
  wrong[5] = folder.path("X2.npy");
  expect_fails(wrong, {"X2.npy: got shape (3, 4), wanted (N, C, L)"});
  save_npy(folder.path("X0.npy"), Tensor::zeros({1, 2, 0}));
  wrong[5] = folder.path("X0.npy");
  expect_fails(wrong, {"X0.npy: got shape (1, 2, 0), wanted 1 step or more"});
  EXPECT_FALSE(std::filesystem::exists(folder.path("W.npy")));
  expect_fails({"predict", "tcn", "--checkpoint", checkpoint, "--data", folder.path("run")},
               {"--data: got a checkpoint of no series", "wanted --input for it"});
  expect_fails({"predict", "simple_cnn", "--checkpoint", checkpoint, "--input",
                folder.path("X.npy"), "--output", folder.path("W.npy"), "--every-step"},
               {"--every-step: got the model simple_cnn"});
}

// A checkpoint says by its keys and shapes which norms and skips its model has.
TEST(SequenceCommands, TrainModelsWithNormsAndSkips) {
  const TemporaryFolder folder;
  expect_runs(adding_run(folder, {"--norm", "layer", "--skip-channels", "5"}));
  const std::string checkpoint = folder.path("run/last.safetensors");
  TCN::Options options = tcn_options_for(load_safetensors(checkpoint).tensors);
  EXPECT_EQ(options.net.block.norm, BlockNorm::Layer);
  EXPECT_EQ(options.net.block.skip_channels, 5);
  TCN model(options);
  load_state_dict(model, load_safetensors(checkpoint).tensors);
  model.eval();
  const Tensor x = randn({5, 2, 9});
  save_npy(folder.path("X.npy"), x);
  const NamedTensors trained = load_safetensors(checkpoint);
  save_safetensors(folder.path("bare.safetensors"), trained.tensors);  // without metadata
  for (const std::string& path : {checkpoint, folder.path("bare.safetensors")}) {
    expect_runs({"predict", "tcn", "--checkpoint", path, "--input", folder.path("X.npy"),
                 "--device", "cpu", "--output", folder.path("Y.npy")});
    const Tensor y = load_npy(folder.path("Y.npy"));
    EXPECT_LE(relative_difference(as_doubles(y), as_doubles(model(x))), 1e-6);
  }
  options.net.block.condition_channels = 2;
  save_safetensors(folder.path("conditioned.safetensors"), state_dict(TCN(options)));
  expect_fails({"predict", "tcn", "--checkpoint", folder.path("conditioned.safetensors"), "--input",
                folder.path("X.npy"), "--device", "cpu", "--output", folder.path("Z.npy")},
               {"conditioned.safetensors: [TCN] checkpoint: got blocks that take a condition of 2 "
                "channels"});
}

TEST(SequenceCommands, InspectPlans) {
  const Json json =
      Json::parse(expect_runs({"inspect", "tcn", "--channels", "2,2,2", "--kernel-size", "3",
                               "--length", "40", "--impulse", "--json"})
                      .out);
  EXPECT_EQ(json.at("receptive_field"), 29);
  EXPECT_EQ(json.at("is_covered"), false);
  EXPECT_EQ(json.at("least_depth"), 4);
  EXPECT_EQ(json.at("coverage").front(), Json({{"output", 0}, {"elements", 1}, {"padding", 28}}));
  EXPECT_EQ(json.at("coverage").back(), Json({{"output", 39}, {"elements", 29}, {"padding", 0}}));
  EXPECT_EQ(json.at("impulse_test"), Json({{"length", 40},
                                           {"output", 39},
                                           {"first", 11},
                                           {"last", 39},
                                           {"reach_it", 29},
                                           {"computed", 29}}));
  const std::string text = expect_runs({"inspect", "tcn", "--channels", "2", "--kernel-size", "3",
                                        "--centred", "--length", "5", "--impulse"})
                               .out;
  for (const char* part : {"receptive field: 5 steps of the sequence, 2 of them after",
                           "impulse test: of 5 steps, 5 reach output 2, from 0 to 4; computed: 5",
                           "a sequence of 5 steps is not seen whole", "2 blocks"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  expect_fails({"inspect", "tcn", "--length", "1000000", "--impulse"},
               {"--impulse: got a sequence of 1000000 steps"});
  expect_fails({"inspect", "tcn", "--channels", "2,2", "--kernel-size", "3,3,3"},
               {"kernel_sizes: got 3", "2 blocks"});
}

TEST(SequenceCommands, RefuseWhatDoesNotApply) {
  const TemporaryFolder folder;
  expect_fails(adding_run(folder, {"--image-size", "8"}),
               {"[train] --image-size: got --task adding, wanted images"});
  expect_fails(adding_run(folder, {"--data-on-device", "on"}),
               {"[train] --data-on-device: got --task adding, wanted images"});
  expect_fails(adding_run(folder, {"--data", "x"}),
               {"[train] --data: got --task adding, which makes its own"});
  expect_fails(adding_run(folder, {"--permute", "3"}),
               {"[train] --permute: got --task adding, wanted sequence"});
  expect_fails({"train", "tcn"}, {"--task: got images for tcn, wanted adding"});
  expect_fails({"train", "simple_cnn", "--channels", "3"},
               {"[train] --channels: got model simple_cnn, wanted tcn"});
  expect_usage_error(adding_run(folder, {"--activation", "swish"}),
                     {"--activation: got \"swish\"", "relu"});
  expect_usage_error(adding_run(folder, {"--dilations", "1,,2"}), {"--dilations", "\"\""});
  expect_usage_error(adding_run(folder, {"--dilations", "0,1"}), {"--dilations", "1 or more"});
  EXPECT_FALSE(std::filesystem::exists(folder.path("run"))) << "nothing is half-written";
}

}  // namespace
}  // namespace warptape
