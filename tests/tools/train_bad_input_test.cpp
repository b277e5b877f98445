// What `warptape train` refuses: one message, exit status 1, no run folder left behind.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>

#include "core/device/device.h"
#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"

namespace warptape {
namespace {

using Parts = std::vector<std::string>;

void expect_refused(const TemporaryFolder& folder, const Parts& parts, const Arguments& more = {}) {
  const std::vector<std::string> before = folder.names();
  const Arguments arguments = {"train",        "simple_cnn",
                               "--data",       folder.path("data"),
                               "--out",        folder.path("runs/a"),
                               "--image-size", "8",
                               "--threads",    "1"};
  expect_fails(arguments + more, parts);
  EXPECT_EQ(folder.names(), before) << "something was written";
}

// A valid set with one file replaced.
using WriteData = std::function<std::string(const TemporaryFolder&)>;
void expect_file_refused(const WriteData& write_data, const std::string& name,
                         const std::string& bytes, Parts parts) {
  SCOPED_TRACE(name);
  const TemporaryFolder folder;
  write_data(folder);
  parts.push_back(folder.write("data/" + name, bytes));
  expect_refused(folder, parts);
}

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes += static_cast<char>(value >> shift & 0xff);
  }
  return bytes;
}

TEST(TrainBadInput, RefusesFoldersWithoutData) {
  const TemporaryFolder folder;
  expect_refused(folder, {folder.path("data"), "No such file"});
  std::filesystem::create_directory(folder.path("data"));
  expect_refused(folder, {folder.path("data"), "got nothing", "data_batch_1.bin", "IDX"});
  folder.write("data/readme.txt", "no images");
  expect_refused(folder, {folder.path("data"), "got readme.txt", "train-images-idx3-ubyte"});
  std::filesystem::remove_all(folder.path("data"));
  folder.write("data", "a file");
  expect_refused(folder, {folder.path("data"), "Not a directory"});
}

TEST(TrainBadInput, RefusesIncompleteSets) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  std::filesystem::remove(folder.path("data/test_batch.bin"));
  expect_refused(folder, {folder.path("data"), "CIFAR-10", "wanted also test_batch.bin"});
  write_tiny_idx(folder);
  expect_refused(folder, {folder.path("data"), "IDX", "CIFAR-10", "one data set"});
}

TEST(TrainBadInput, RefusesDamagedCifarRecords) {
  const std::string good = cifar10_records({1, 2});
  const auto ten = [](const std::string& name, const std::string& bytes, const Parts& parts) {
    expect_file_refused([](const TemporaryFolder& f) { return write_tiny_cifar10(f); }, name, bytes,
                        parts);
  };
  ten("data_batch_1.bin", "", {"got 0 bytes", "3073"});
  ten("data_batch_1.bin", good.substr(1), {"got 6145 bytes", "3073"});
  ten("data_batch_2.bin", good + "x", {"got 6147 bytes", "3073"});
  ten("test_batch.bin", good.substr(0, 3072), {"got 3072 bytes", "3073"});
  ten("data_batch_2.bin", cifar10_records({1, 2, 10}), {"record 2", "got 10", "0 to 9"});
  ten("test_batch.bin", cifar10_records({255}), {"record 0", "got 255", "0 to 9"});
  ten("data_batch_1.bin", cifar100_records({7, 99}), {"got 6148 bytes", "CIFAR-100"});
  const auto hundred = [](const std::string& name, const std::string& bytes, const Parts& parts) {
    expect_file_refused([](const TemporaryFolder& f) { return write_tiny_cifar100(f); }, name,
                        bytes, parts);
  };
  hundred("train.bin", good, {"got 6146 bytes", "CIFAR-10 records of 3073"});
  hundred("test.bin", cifar100_records({99, 100}), {"record 1", "got 20", "0 to 19"});
  hundred("test.bin", std::string("\x05\x64", 2) + good.substr(1, 3072),
          {"record 0", "got 100", "0 to 99"});
}

TEST(TrainBadInput, RefusesDamagedIdxFiles) {
  const std::string train_images = "train-images-idx3-ubyte";
  const std::string train_labels = "train-labels-idx1-ubyte";
  const std::string images = idx_images_file(cycling_labels(10, 4));  // 6 x 5 pixels
  const std::string labels = idx_labels_file(cycling_labels(10, 4));
  const uint32_t most = UINT32_MAX;
  struct Case {
    std::string name;
    std::string bytes;
    Parts parts;
  };
  const std::vector<Case> cases = {
      {train_images, "", {"got 0 bytes"}},
      {train_images, images.substr(0, 10), {"got 10 bytes", "the 16"}},
      {train_images, images.substr(0, 315), {"got 315 bytes", "wanted 316", "(10, 6, 5)"}},
      {train_images, images + "x", {"got 317 bytes", "wanted 316"}},
      {train_images,
       big_endian(0x803) + big_endian(most) + big_endian(6) + big_endian(5) + images.substr(16),
       {"got 316 bytes", "wanted 128849018866"}},
      {train_images,
       big_endian(0x803) + big_endian(most) + big_endian(most) + big_endian(most),
       {"4294967295", "overflows"}},
      {train_images,
       big_endian(0x803) + big_endian(0) + big_endian(6) + big_endian(5),
       {"dimension 0", "got 0"}},
      {train_images, big_endian(0x800), {"0x00000800", "0x00000803"}},
      {train_images, big_endian(0x8ff) + images, {"0x000008ff", "0x00000803"}},
      {train_images, labels, {"0x00000801", "0x00000803", "swapped"}},
      {train_images, "\x1f\x8b\x08 packed", {"gzip", "gunzip"}},
      {train_labels, big_endian(0x801) + big_endian(most) + "\1", {"wanted 4294967303"}},
      {train_labels, idx_labels_file(cycling_labels(9, 4)), {"got 9", "wanted 10", train_images}},
      {"t10k-labels-idx1-ubyte",
       idx_labels_file({0, 1, 2, 0, 1, 4}),
       {"record 5", "got 4", "at most 3"}},
      {"t10k-images-idx3-ubyte",
       big_endian(0x803) + big_endian(6) + big_endian(1) + big_endian(1) + "123456",
       {"got 1 x 1", "wanted 6 x 5", train_images}},
  };
  for (const Case& bad : cases) {
    expect_file_refused([](const TemporaryFolder& f) { return write_tiny_idx(f); }, bad.name,
                        bad.bytes, bad.parts);
  }
}

TEST(TrainBadInput, RefusesCheckpointsThatDoNotFit) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  const auto refuse = [&](const StateDict& state, Parts parts) {
    parts.push_back(write_state(folder, "init.safetensors", state));
    expect_refused(folder, parts, {"--init", folder.path("init.safetensors")});
  };
  const auto with = [](int64_t channels, int64_t classes, int64_t size) {
    SimpleCNN::Options options = tiny_model;
    options.input_channels = channels;
    options.num_classes = classes;
    options.image_size = size;
    return tiny_state(options);
  };
  refuse(with(1, 10, 8), {"1 channels", "have 3", folder.path("data")});
  refuse(with(3, 9, 8), {"9 classes", "labels up to 9", folder.path("data")});
  refuse(with(3, 10, 12), {"mis-shaped: fc1.weight: got (256, 1152), wanted (256, 512)"});
  StateDict state = tiny_state();
  state[0].first = "stem.weight_g";
  refuse(state, {"missing: " + tiny_state()[0].first, "unexpected: stem.weight_g"});
  refuse({{"w", Tensor::zeros({1})}}, {"missing: fc2.weight (10, 256)", "unexpected: w (1,)"});
  refuse({{"fc2.weight", Tensor::empty({int64_t{1} << 40, 0})}}, {"fc2.weight"});
  folder.write("cut.safetensors", bytes_of_file(folder.path("init.safetensors")).substr(0, 20));
  expect_refused(folder, {folder.path("cut.safetensors"), "the 12 that follow"},
                 {"--init", folder.path("cut.safetensors")});
  expect_refused(folder, {folder.path("none.safetensors"), "No such file"},
                 {"--init", folder.path("none.safetensors")});
}

TEST(TrainBadInput, RefusesOptionsThatDoNotFitTheData) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  expect_refused(folder, {"--mean", "got 2 numbers", "3"}, {"--mean", "0.1,0.2"});
  expect_refused(folder, {"--std", "got 4 numbers", "3"}, {"--std", "1,2,3,4"});
  expect_refused(folder, {"--validation", "0 of 16"}, {"--validation", "0.01"});
  expect_refused(folder, {"--validation", "16 of 16"}, {"--validation", "0.99"});
  expect_refused(folder, {"--drop-last", "16", "17"}, {"--drop-last", "--batch-size", "17"});
  expect_refused(folder, {"nesterov", "momentum"}, {"--optimizer", "sgd", "--nesterov"});
  // 16 images in batches of 64: one step in an epoch.
  expect_refused(folder, {"--warmup-steps 16: the run has 15 steps"}, {"--warmup-steps", "16"});
  expect_refused(folder, {"--warmup-steps 5: the run has 4 steps"},
                 {"--warmup-steps", "5", "--epochs", "4"});
  expect_refused(folder, {"--warmup-steps 3: the run has 2 steps"},
                 {"--warmup-steps", "3", "--max-steps", "2", "--batch-size", "4"});
  expect_refused(folder, {"got 9 classes", "labels up to 9"}, {"--classes", "9"});
}

TEST(TrainBadInput, RefusesOptionsThatDoNotApply) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  struct Case {
    Arguments arguments;
    std::string message;
  };
  const std::vector<Case> cases = {
      {{"--momentum", "0.9"}, "--momentum: got --optimizer adam, wanted sgd"},
      {{"--momentum", "0"}, "--momentum: got --optimizer adam, wanted sgd"},
      {{"--optimizer", "adamw", "--momentum", "0.9"}, "--momentum: got --optimizer adamw"},
      {{"--nesterov"}, "--nesterov: got --optimizer adam, wanted sgd"},
      {{"--optimizer", "adamw", "--nesterov"}, "--nesterov: got --optimizer adamw"},
      {{"--optimizer", "sgd", "--nesterov", "--momentum", "0"}, "--nesterov: got no --momentum"},
      {{"--optimizer", "sgd", "--beta1", "0.5"}, "--beta1: got --optimizer sgd, wanted adam or"},
      {{"--alpha", "0.5"}, "--alpha: got --optimizer adam, wanted rmsprop"},
      {{"--centered"}, "--centered: got --optimizer adam, wanted rmsprop"},
      {{"--optimizer", "sgd", "--nesterov", "--momentum", "0.9", "--dampening", "0.5"},
       "--nesterov: got --dampening 0.5, wanted none"},
      {{"--gamma", "0.5"}, "--gamma: got --schedule constant, wanted step"},
      {{"--schedule", "cosine", "--gamma", "0.5"}, "--gamma: got --schedule cosine"},
      {{"--step-epochs", "2"}, "--step-epochs: got --schedule constant, wanted step"},
      {{"--schedule", "cosine", "--step-epochs", "2"}, "--step-epochs: got --schedule cosine"},
      {{"--min-lr", "0"}, "--min-lr: got --schedule constant, wanted cosine"},
      {{"--schedule", "step", "--min-lr", "0"}, "--min-lr: got --schedule step"},
      {{"--schedule", "cosine", "--lr", "0.1", "--min-lr", "0.2"}, "--min-lr 0.2: got --lr 0.1"},
      {{"--schedule", "step", "--step-epochs", "15"}, "wanted fewer than --epochs 15"},
      {{"--schedule", "step", "--epochs", "5"}, "got 5 epochs between drops"},
      {{"--data-on-device", "off", "--device", "cpu"}, "--data-on-device off: got --device cpu"},
      {{"--precision", "tf32"}, "--precision tf32: got --device auto, which found no GPU"},
      {{"--precision", "bf16", "--tf32"}, "--tf32: got --precision bf16, wanted float32"},
  };
  for (const Case& one : cases) {
    expect_refused(folder, {one.message}, one.arguments);
  }
  expect_refused(folder, {"--tf32: got --device auto, which found no GPU"}, {"--tf32"});
}

TEST(TrainBadInput, ClaimsNothingAboutForeignCheckpoints) {
  const TemporaryFolder folder;
  write_tiny_idx(folder);
  const auto refuse = [&](const StateDict& state, const Parts& parts) {
    write_state(folder, "init.safetensors", state);
    const CommandResult result = run_program({"train", "simple_cnn", "--data", folder.path("data"),
                                              "--out", folder.path("run"), "--image-size", "8",
                                              "--init", folder.path("init.safetensors")});
    EXPECT_EQ(result.status, 1);
    EXPECT_EQ(result.err.find("channels"), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find("classes"), std::string::npos) << result.err;
    for (const std::string& part : parts) {
      EXPECT_NE(result.err.find(part), std::string::npos) << result.err << "\nlacks " << part;
    }
  };
  refuse({{"w", Tensor::zeros({1})}}, {"missing: conv1.weight_g", "unexpected: w (1,)"});
  StateDict unknown;
  for (const auto& [key, tensor] : tiny_state()) {
    unknown.emplace_back("net." + key, tensor);
  }
  refuse(unknown, {"missing: conv1.weight_g", "unexpected: net.conv1.weight_g"});
}

TEST(TrainBadInput, RefusesOptionsThatExcludeEachOther) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  const Arguments on_cpu = {"--device", "cpu"};
  expect_refused(folder, {"--tf32: got --device cpu"}, on_cpu + Arguments{"--tf32"});
  expect_refused(folder, {"--precision tf32: got --device cpu, wanted a GPU"},
                 on_cpu + Arguments{"--precision", "tf32"});
  for (const char* value : {"auto", "on", "off"}) {
    expect_refused(folder, {fmt::format("--gpu-libraries {}: got --device cpu", value)},
                   on_cpu + Arguments{"--gpu-libraries", value});
  }
  expect_refused(folder, {"--graph on: got --device cpu, wanted a GPU"},
                 on_cpu + Arguments{"--graph", "on"});
  expect_refused(folder, {"--data-on-device on: got --device cpu, wanted a GPU"},
                 on_cpu + Arguments{"--data-on-device", "on"});
  for (const char* device : {"auto", "cuda"}) {
    expect_refused(folder, {"--tf32: got --dtype float64, wanted float32"},
                   {"--device", device, "--tf32", "--dtype", "float64"});
  }
}

TEST(TrainBadInput, RefusesEmptyPaths) {
  const TemporaryFolder folder;
  for (const char* option : {"--data", "--init", "--out"}) {  // "$UNSET" in a script
    SCOPED_TRACE(option);
    const CommandResult result =
        run_program({"train", "simple_cnn", "--image-size", "8", "--max-steps", "1", option, ""},
                    folder.path());
    EXPECT_TRUE(result.status == 1 || result.status == 2) << result.status;
    EXPECT_NE(result.err.find(option), std::string::npos) << result.err;
    EXPECT_EQ(folder.names(), std::vector<std::string>{});
  }
}

TEST(TrainBadInput, RefusesFoldersThatCannotBeMade) {
  const TemporaryFolder folder;
  const std::string data = write_tiny_cifar10(folder);
  const std::string under_a_file = data + "/test_batch.bin/run";
  const std::vector<std::string> before = folder.names();
  expect_fails({"train", "simple_cnn", "--data", data, "--out", under_a_file, "--image-size", "8",
                "--max-steps", "1", "--threads", "1"},
               {under_a_file, "Not a directory"});
  EXPECT_EQ(folder.names(), before);
}

TEST(TrainBadInput, RefusesADeviceThatIsNotThere) {
  if (is_available(DeviceType::CUDA)) {
    GTEST_SKIP() << "it is there";
  }
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  expect_refused(folder, {"cuda:0 is not available: "}, {"--device", "cuda"});
}

TEST(TrainBadInput, LeavesNoHalfACheckpointOnAFullDisk) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 100'000;  // a checkpoint has 800 kB
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
  const CommandResult result =
      run_program({"train", "simple_cnn", "--data", folder.path("data"), "--out",
                   folder.path("run"), "--image-size", "8", "--epochs", "1", "--threads", "1"});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(
      result.err.find(folder.path("run/last.safetensors") + ": writing: got \"File too large"),
      std::string::npos)
      << result.err;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path("run"))) {
    EXPECT_TRUE(entry.path().extension() == ".csv" || entry.path().filename() == "config.json")
        << entry.path();
  }
}

TEST(TrainBadInput, StopsWhereTheLossIsNotFinite) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  const CommandResult result =
      run_program({"train", "simple_cnn", "--data", folder.path("data"), "--out",
                   folder.path("run"), "--image-size", "8", "--batch-size", "2", "--threads", "1",
                   "--optimizer", "sgd", "--lr", "1e30"});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.err.find("the loss is "), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("step "), std::string::npos) << result.err;
  EXPECT_FALSE(std::filesystem::exists(folder.path("run/last.safetensors")));
}

}  // namespace
}  // namespace warptape
