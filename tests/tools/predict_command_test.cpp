// What `warptape predict` computes and writes.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/primitives.h"
#include "kernels/argmax/argmax.h"
#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"
#include "training/image_loader.h"
#include "training/npy.h"
#include "training/safetensors.h"

namespace warptape {
namespace {

Arguments predict_arguments(const std::string& checkpoint, const std::string& input,
                            const std::string& output) {
  return {"predict", "simple_cnn", "--checkpoint", checkpoint,  "--input",
          input,     "--output",   output,         "--threads", "1"};
}

// The part of the test images that a checkpoint gets right, with the normalisation of config.json.
double accuracy_by_predict(const TemporaryFolder& folder, const std::string& run) {
  const auto config = nlohmann::json::parse(bytes_of_file(folder.path(run + "/config.json")));
  const ImageSet test = load_image_data(config.at("data")).test;
  ImageTransform transform;
  transform.image_size = config.at("image_size");
  transform.mean = config.at("mean").get<std::vector<double>>();
  transform.std = config.at("std").get<std::vector<double>>();
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < test.labels.numel(); ++i) {
    indices.push_back(i);
  }
  const ImageBatch batch =
      image_batch(test.images, test.labels, tensor(indices, {test.labels.numel()}), transform);
  save_npy(folder.path("X.npy"), batch.images);
  expect_runs(predict_arguments(folder.path(run + "/best.safetensors"), folder.path("X.npy"),
                                folder.path("Y.npy")) +
              Arguments{"--precision", config.at("precision")});
  const Tensor logits = load_npy(folder.path("Y.npy"));
  EXPECT_EQ(logits.shape(), (Shape{test.labels.numel(), config.at("num_classes")}));
  const std::vector<int64_t> predicted = argmax(logits, 1).to_vector<int64_t>();
  const std::vector<int64_t> labels = batch.labels.to_vector<int64_t>();
  double right = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    right += predicted.at(i) == labels[i] ? 1 : 0;
  }
  return right / static_cast<double>(labels.size());
}

TEST(PredictCommand, ReproducesTheTestAccuracyOfTheBestEpoch) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder, "ten", 24, 20);
  write_tiny_idx(folder, "idx");
  struct Case {
    std::string data;
    Arguments more;
  };
  for (const Case& run : {Case{"ten", {}},
                          {"idx", {"--dtype", "float64", "--mean", "0.3", "--std", "0.2"}},
                          {"idx", {"--no-weight-norm", "--image-size", "11"}},
                          {"ten", {"--precision", "bf16"}}}) {
    SCOPED_TRACE(testing::PrintToString(run.more));
    std::filesystem::remove_all(folder.path("run"));
    Arguments arguments = {"train",        "simple_cnn",
                           "--data",       folder.path(run.data),
                           "--out",        folder.path("run"),
                           "--batch-size", "4",
                           "--epochs",     "4",
                           "--threads",    "1"};
    if (std::find(run.more.begin(), run.more.end(), "--image-size") == run.more.end()) {
      arguments = arguments + Arguments{"--image-size", "8"};
    }
    expect_runs(arguments + run.more);
    const Table metrics = parse_table(folder.read("run/metrics.csv"));
    const std::vector<double> accuracies = metrics.column("test_accuracy");
    const double best = *std::max_element(accuracies.begin(), accuracies.end());
    EXPECT_GT(best, 0.3) << "nothing was learnt";
    EXPECT_NEAR(accuracy_by_predict(folder, "run"), best, 1e-12);
    // The same from the folder of the data.
    const Tensor logits = load_npy(folder.path("Y.npy"));
    const std::string printed =
        expect_runs({"predict", "simple_cnn", "--checkpoint", folder.path("run/best.safetensors"),
                     "--data", folder.path(run.data), "--output", folder.path("Z.npy"), "--threads",
                     "1", "--precision",
                     nlohmann::json::parse(folder.read("run/config.json")).at("precision")})
            .out;
    EXPECT_NE(printed.find(fmt::format("accuracy {:.2f} %", 100 * best)), std::string::npos)
        << printed;
    EXPECT_LT(relative_difference(as_doubles(load_npy(folder.path("Z.npy"))), as_doubles(logits)),
              1e-6);
  }
}

TEST(PredictCommand, WritesTheCheckpointsDtypeForEveryInput) {
  const TemporaryFolder folder;
  const Tensor images = tiny_images(3);
  save_npy(folder.path("narrow.npy"), images);
  save_npy(folder.path("wide.npy"), primitives::cast(images, float64));
  for (const DType dtype : {float32, float64}) {
    SimpleCNN::Options options = tiny_model;
    options.dtype = dtype;
    const std::string checkpoint = write_state(folder, "c.safetensors", tiny_state(options));
    SimpleCNN model(options);
    load_state_dict(model, load_safetensors(checkpoint).tensors);
    model.eval();
    const std::vector<double> wanted = as_doubles(model(primitives::cast(images, dtype)));
    for (const char* input : {"narrow.npy", "wide.npy"}) {
      expect_runs(predict_arguments(checkpoint, folder.path(input), folder.path("y.npy")));
      const Tensor logits = load_npy(folder.path("y.npy"));
      EXPECT_EQ(logits.dtype(), dtype);
      EXPECT_EQ(logits.shape(), (Shape{3, 10}));
      EXPECT_LT(relative_difference(as_doubles(logits), wanted), dtype == float64 ? 1e-12 : 1e-5);
    }
  }
}

// More images than a batch has, from a file and from a data set.
TEST(PredictCommand, WritesARowForEachImageOfAllBatches) {
  const TemporaryFolder folder;
  const std::string checkpoint = write_state(folder, "c.safetensors", tiny_state());
  SimpleCNN model(tiny_model);
  load_state_dict(model, load_safetensors(checkpoint).tensors);
  model.eval();

  const Tensor images = tiny_images(259);
  save_npy(folder.path("x.npy"), images);
  expect_runs(predict_arguments(checkpoint, folder.path("x.npy"), folder.path("y.npy")));
  EXPECT_LT(
      relative_difference(as_doubles(load_npy(folder.path("y.npy"))), as_doubles(model(images))),
      1e-5);

  const std::string data = write_tiny_cifar10(folder, "data", 16, 259);
  folder.write("config.json",
               R"({"image_size": 8, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]})");
  expect_runs({"predict", "simple_cnn", "--checkpoint", checkpoint, "--data", data, "--output",
               folder.path("z.npy"), "--threads", "1"});
  const ImageSet test = load_image_data(data).test;
  std::vector<int64_t> numbers(259);
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  const ImageBatch all = image_batch(
      test.images, test.labels, tensor(numbers, {259}),
      {.image_size = 8, .mean = {0.5, 0.5, 0.5}, .std = {0.25, 0.25, 0.25}, .dtype = float32});
  EXPECT_LT(relative_difference(as_doubles(load_npy(folder.path("z.npy"))),
                                as_doubles(model(all.images))),
            1e-5);
}

TEST(PredictCommand, TakesChannelsClassesAndImageSizeFromTheCheckpoint) {
  struct Case {
    int64_t channels, classes, size, count;
  };
  const TemporaryFolder folder;
  for (const Case& c : {Case{1, 2, 8, 2}, {5, 13, 4, 1}, {3, 10, 15, 2}, {1, 1, 4, 257}}) {
    SCOPED_TRACE(c.size);
    SimpleCNN::Options options = tiny_model;
    options.input_channels = c.channels;
    options.num_classes = c.classes;
    options.image_size = c.size;
    const std::string checkpoint = write_state(folder, "c.safetensors", tiny_state(options));
    save_npy(folder.path("x.npy"), tiny_images(c.count, c.channels, c.size));
    expect_runs(predict_arguments(checkpoint, folder.path("x.npy"), folder.path("y.npy")));
    const Tensor logits = load_npy(folder.path("y.npy"));
    EXPECT_EQ(logits.shape(), (Shape{c.count, c.classes}));
    SimpleCNN model(options);
    load_state_dict(model, load_safetensors(checkpoint).tensors);
    const Tensor wanted = model(load_npy(folder.path("x.npy")));
    EXPECT_LT(relative_difference(as_doubles(logits), as_doubles(wanted)), 1e-5);
  }
}

// float16 of a number that it holds exactly and normally.
uint16_t half_of(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t exponent = (bits >> 23) & 0xffU;
  return static_cast<uint16_t>((bits >> 16 & 0x8000U) |
                               (exponent == 0 ? 0 : (exponent - 112) << 10) |
                               (bits >> 13 & 0x3ffU));
}

TEST(PredictCommand, TakesFloat16Images) {
  const TemporaryFolder folder;
  const std::string checkpoint = write_state(folder, "c.safetensors", tiny_state());
  std::vector<float> values;
  for (int i = 0; i < 2 * 3 * 8 * 8; ++i) {
    values.push_back(static_cast<float>(i % 37 - 18) / 8);
  }
  save_npy(folder.path("wide.npy"), tensor(values, {2, 3, 8, 8}));
  expect_runs(predict_arguments(checkpoint, folder.path("wide.npy"), folder.path("y.npy")));
  const std::string wanted = folder.read("y.npy");
  for (const bool big : {false, true}) {
    std::string bytes = bytes_of_file(folder.path("wide.npy")).substr(0, 128);
    bytes.replace(bytes.find("<f4"), 3, big ? ">f2" : "<f2");
    for (const float value : values) {
      const uint16_t half = half_of(value);
      const char low = static_cast<char>(half & 0xff);
      const char high = static_cast<char>(half >> 8);
      bytes += big ? std::string{high, low} : std::string{low, high};
    }
    const std::string input = folder.write("narrow.npy", bytes);
    expect_runs(predict_arguments(checkpoint, input, folder.path("y.npy")));
    EXPECT_TRUE(folder.read("y.npy") == wanted);
  }
}

TEST(PredictCommand, TakesNoImages) {
  const TemporaryFolder folder;
  const std::string checkpoint = write_state(folder, "c.safetensors", tiny_state());
  save_npy(folder.path("x.npy"), Tensor::empty({0, 3, 8, 8}));
  expect_runs(predict_arguments(checkpoint, folder.path("x.npy"), folder.path("y.npy")));
  EXPECT_EQ(load_npy(folder.path("y.npy")).shape(), (Shape{0, 10}));
}

TEST(PredictCommand, TakesEveryModelThatIsTrained) {
  const TemporaryFolder folder;
  const std::string data = write_tiny_idx(folder);
  expect_runs({"train", "mlp", "--data", data, "--out", folder.path("run"), "--image-size", "6",
               "--epochs", "2", "--threads", "1"});
  const std::string checkpoint = folder.path("run/last.safetensors");
  const CommandResult by_data =
      expect_runs({"predict", "mlp", "--checkpoint", checkpoint, "--data", data, "--output",
                   folder.path("y.npy"), "--threads", "1"});
  const Table metrics = parse_table(folder.read("run/metrics.csv"));
  EXPECT_NE(by_data.out.find(fmt::format("accuracy {:.2f} %, loss {:.4f}",
                                         100 * metrics.column("test_accuracy").back(),
                                         metrics.column("test_loss").back())),
            std::string::npos)
      << by_data.out;
  // An array of images tells channels and size.
  save_npy(folder.path("x.npy"), tiny_images(3, 1, 6));
  expect_runs({"predict", "mlp", "--checkpoint", checkpoint, "--input", folder.path("x.npy"),
               "--output", folder.path("z.npy"), "--threads", "1"});
  EXPECT_EQ(load_npy(folder.path("z.npy")).shape(), Shape({3, 4}));
  save_npy(folder.path("x.npy"), tiny_images(3, 1, 7));
  expect_fails({"predict", "mlp", "--checkpoint", checkpoint, "--input", folder.path("x.npy"),
                "--output", folder.path("z.npy"), "--threads", "1"},
               {checkpoint, "fc1.weight_v", "(256, 49)", "(256, 36)"});
  // Of another model.
  expect_fails({"predict", "simple_cnn", "--checkpoint", checkpoint, "--input",
                folder.path("x.npy"), "--output", folder.path("z.npy"), "--threads", "1"},
               {checkpoint, "conv1.bias"});
}

}  // namespace
}  // namespace warptape
