// `warptape train`, `predict` and `bench` with --device cuda against the same on the CPU. The
// program's device is this build's: a GPU, or the emulation.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/argmax/argmax.h"
#include "kernels/vendor/gpu_libraries.h"
#include "tests/core/device/gpu_test.h"
#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"
#include "training/npy.h"

namespace warptape {
namespace {

class CudaCommands : public GpuTest {};

const Arguments on_cuda = {"--device", "cuda"};
const Arguments on_cpu = {"--device", "cpu"};

std::string version_or_absent(const GpuLibrary& library) {
  return library.reason.empty() ? library.version : "absent";
}

// Batches of 4 images of 8 x 8, without regard to what lies in `data`.
Arguments training(const TemporaryFolder& folder, const std::string& out, const Arguments& more) {
  return Arguments{"train",        "simple_cnn",
                   "--data",       folder.path("data"),
                   "--out",        folder.path(out),
                   "--image-size", "8",
                   "--batch-size", "4",
                   "--epochs",     "1",
                   "--threads",    "1"} +
         more;
}
CommandResult train(const TemporaryFolder& folder, const std::string& out, const Arguments& more) {
  return expect_runs(training(folder, out, more));
}

void expect_same_steps(const TemporaryFolder& folder, const std::string& got,
                       const std::string& wanted, double bound) {
  const Table a = parse_table(folder.read(got + "/steps.csv"));
  const Table b = parse_table(folder.read(wanted + "/steps.csv"));
  EXPECT_EQ(a.columns, b.columns);
  ASSERT_EQ(a.rows.size(), b.rows.size());
  for (const char* column : {"loss", "gradient_norm"}) {
    for (size_t i = 0; i < a.rows.size(); ++i) {
      const double value = b.column(column).at(i);
      EXPECT_NEAR(a.column(column).at(i), value, bound * value) << column << " of step " << i + 1;
    }
  }
}

TEST_F(CudaCommands, TrainAsOnTheCpu) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder, "data", 10, 6);
  const Arguments options = {"--dtype", "float64", "--clip-norm", "1"};
  train(folder, "cpu", options + on_cpu);
  const std::string printed = train(folder, "cuda", options + on_cuda).out;
  EXPECT_NE(printed.find("float64, on cuda:0 ("), std::string::npos) << printed;
  EXPECT_EQ(names_in(folder.path("cuda")), names_in(folder.path("cpu")));
  expect_same_steps(folder, "cuda", "cpu", 1e-9);
  const Table metrics = parse_table(folder.read("cuda/metrics.csv"));
  const Table wanted = parse_table(folder.read("cpu/metrics.csv"));
  EXPECT_EQ(metrics.columns, wanted.columns);
  EXPECT_EQ(metrics.column("test_accuracy"), wanted.column("test_accuracy"));
  EXPECT_NEAR(metrics.column("test_loss").at(0), wanted.column("test_loss").at(0), 1e-8);
  const auto config = nlohmann::json::parse(folder.read("cuda/config.json"));
  EXPECT_EQ(config.at("device"), "cuda:0");
  EXPECT_EQ(config.at("data_on_device"), true);
  EXPECT_EQ(config.at("gpu_libraries"), name_of(gpu_libraries()));
  EXPECT_EQ(config.at("cublaslt"), version_or_absent(cublas_library()));
  EXPECT_EQ(config.at("cudnn"), version_or_absent(cudnn_library()));
  EXPECT_EQ(config.at("tf32"), false);
  const auto of_cpu = nlohmann::json::parse(folder.read("cpu/config.json"));
  for (const char* key : {"data_on_device", "gpu_libraries", "cublaslt", "cudnn", "tf32"}) {
    EXPECT_TRUE(of_cpu.at(key).is_null()) << key;
  }
  const auto weights = read_weights(folder.path("cuda/last.safetensors"));
  for (const auto& [name, values] : read_weights(folder.path("cpu/last.safetensors"))) {
    EXPECT_LT(relative_difference(weights.at(name), values), 1e-8) << name;
  }
}

TEST_F(CudaCommands, TrainTheSameTwiceAndWhereverTheDataLies) {
  const TemporaryFolder folder;
  write_tiny_idx(folder, "data");
  const Arguments three = on_cuda + Arguments{"--max-steps", "3"};
  train(folder, "first", three);
  train(folder, "on", three + Arguments{"--data-on-device", "on"});
  train(folder, "off", three + Arguments{"--data-on-device", "off"});
  EXPECT_EQ(nlohmann::json::parse(folder.read("off/config.json")).at("data_on_device"), false);
  EXPECT_EQ(train(folder, "no-graph", three + Arguments{"--graph", "off", "--verbose"}).err, "");
  const CommandResult told = run_program(training(folder, "graph", three + Arguments{"--verbose"}));
  EXPECT_EQ(told.status, 0) << told.err;
  const std::string& said = told.err;
  EXPECT_NE(said.find("[graph] a step with"), std::string::npos) << said;
  for (const char* name : {"/steps.csv", "/last.safetensors"}) {
    const std::string first = folder.read("first" + std::string(name));
    EXPECT_TRUE(folder.read("on" + std::string(name)) == first) << name;
    EXPECT_TRUE(folder.read("off" + std::string(name)) == first) << name;
    EXPECT_TRUE(folder.read("no-graph" + std::string(name)) == first) << name;
    EXPECT_TRUE(folder.read("graph" + std::string(name)) == first) << name;
  }
}

// Three steps here, three there, either way round, against six steps on the CPU.
TEST_F(CudaCommands, CheckpointsGoOnElsewhere) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder, "data", 12, 2);
  const Arguments options = {"--dtype", "float64", "--optimizer", "sgd", "--no-shuffle"};
  const auto go_on = [&](const std::string& from) {
    return options + Arguments{"--init", folder.path(from + "/last.safetensors")};
  };
  train(folder, "cpu", options + on_cpu);
  train(folder, "cuda", options + on_cuda);
  train(folder, "cpu-cpu", go_on("cpu") + on_cpu);
  train(folder, "cpu-cuda", go_on("cpu") + on_cuda);
  train(folder, "cuda-cpu", go_on("cuda") + on_cpu);
  expect_same_steps(folder, "cpu-cuda", "cpu-cpu", 1e-9);
  expect_same_steps(folder, "cuda-cpu", "cpu-cpu", 1e-9);
  EXPECT_EQ(read_keys(folder.path("cuda/last.safetensors")),
            read_keys(folder.path("cpu/last.safetensors")));
}

TEST_F(CudaCommands, PredictTheSameClasses) {
  const TemporaryFolder folder;
  const std::string checkpoint = write_state(folder, "state.safetensors", tiny_state());
  save_npy(folder.path("X.npy"), tiny_images(5));
  std::vector<std::vector<int64_t>> predicted;
  std::vector<std::vector<double>> logits;
  for (const Arguments& device : {on_cpu, on_cuda}) {
    expect_runs(Arguments{"predict", "simple_cnn", "--checkpoint", checkpoint, "--input",
                          folder.path("X.npy"), "--output", folder.path("Y.npy")} +
                device);
    const Tensor y = load_npy(folder.path("Y.npy"));
    predicted.push_back(argmax(y, 1).to_vector<int64_t>());
    logits.push_back(as_doubles(y));
  }
  EXPECT_EQ(predicted[1], predicted[0]);
  EXPECT_LT(relative_difference(logits[1], logits[0]), 1e-5);
}

TEST_F(CudaCommands, PredictAFolderAsTrainingEvaluatedIt) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder, "data", 8, 6);
  train(folder, "run", on_cuda + Arguments{"--dtype", "float64"});
  const double accuracy = parse_table(folder.read("run/metrics.csv")).column("test_accuracy").at(0);
  for (const Arguments& device : {on_cpu, on_cuda}) {
    const std::string out =
        expect_runs(Arguments{"predict", "simple_cnn", "--checkpoint",
                              folder.path("run/best.safetensors"), "--data", folder.path("data"),
                              "--output", folder.path("Y.npy")} +
                    device)
            .out;
    EXPECT_NE(out.find(fmt::format("6 test images, accuracy {:.2f} %", 100 * accuracy)),
              std::string::npos)
        << out;
    EXPECT_EQ(load_npy(folder.path("Y.npy")).shape(), (Shape{6, 10}));
  }
}

TEST_F(CudaCommands, AutoNeverTakesTheEmulation) {
  if (!gpu::is_emulated()) {
    GTEST_SKIP() << "a GPU is what auto takes";
  }
  const std::string out =
      expect_runs({"bench", "step", "simple_cnn", "--batch-size", "1", "--steps", "1"}).out;
  EXPECT_NE(out.find(", on cpu with "), std::string::npos) << out;
  expect_fails({"bench", "kernels"}, {"[bench kernels]", "got cpu", "--device cuda"});
}

TEST_F(CudaCommands, BenchTimesKernels) {
  const TemporaryFolder folder;
  const std::string path = folder.path("kernels.json");
  const std::string out =
      expect_runs(Arguments{"bench", "kernels", "--quick", "--json", path} + on_cuda).out;
  EXPECT_EQ(out.starts_with("EMULATED on the host: these figures say nothing about any GPU"),
            gpu::is_emulated())
      << out;
  const auto json = nlohmann::json::parse(folder.read("kernels.json"), nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json.at("emulated"), gpu::is_emulated());
  EXPECT_GT(json.at("copy_gb_per_s"), 0);
  std::set<std::string> names;
  double best_share = 0;
  for (const auto& result : json.at("results")) {
    names.insert(result.at("name"));
    const bool is_product = result.contains("flops");
    const std::vector<std::string> plans = result.at("plans");
    if (is_product || result.at("name") == "conv2d_depthwise") {
      EXPECT_EQ(plans.empty(), result.at("by") != "ours") << result;
    }
    for (const std::string& plan : plans) {
      EXPECT_NE(out.find("\n  " + plan + "\n"), std::string::npos) << plan;
    }
    for (const char* kind : {"cold", "hot"}) {
      const auto& timing = result.at(kind);
      const double median = timing.at("median_ms");
      EXPECT_GT(median, 0) << result;
      EXPECT_LE(timing.at("min_ms"), median);
      EXPECT_GE(timing.at("max_ms"), median);
      const double rate =
          is_product
              ? timing.at("tflop_per_s").get<double>() * 1e9 / result.at("flops").get<double>()
              : timing.at("gb_per_s").get<double>() * 1e6 / result.at("bytes").get<double>();
      EXPECT_NEAR(rate * median, 1, 1e-9) << result;
    }
    if (is_product && result.at("precision") == "float32") {
      best_share = std::max(best_share, result.at("share_of_best_product").get<double>());
    }
  }
  EXPECT_EQ(best_share, 1);
  for (const char* name : {"plain copy", "weight_norm", "adam", "cross_entropy", "conv1 dw",
                           "conv2 dx", "fc1 y", "gemm 64"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST_F(CudaCommands, BenchTimesSteps) {
  const auto json = nlohmann::json::parse(
      expect_runs({"bench", "step", "simple_cnn", "--batch-size", "1", "--steps", "1", "--warmup",
                   "1", "--json", "--profile", "--device", "cuda"})
          .out);
  EXPECT_EQ(json.at("device"), "cuda:0");
  EXPECT_GT(json.at("median_ms"), 0);
  EXPECT_LE(json.at("min_ms"), json.at("max_ms"));
  EXPECT_GT(json.at("peak_tensors_mb"), 8);
  EXPECT_EQ(json.at("profile").at("step").at("calls"), 1);
  // Each convolution and linear layer forward, its weight's gradient, and all but the first one's
  // data gradient.
  int64_t served = 0;
  for (const auto& product : json.at("products")) {
    const int64_t by_library = product.at("by_library");
    served += by_library + product.at("by_ours").get<int64_t>();
    EXPECT_GE(product.at("asked_library"), by_library) << product;
  }
  EXPECT_EQ(served, 11);
  EXPECT_EQ(json.at("precision"), "float32");
  EXPECT_EQ(json.at("gpu_libraries"), name_of(gpu_libraries()));
  EXPECT_EQ(json.at("cublaslt"), version_or_absent(cublas_library()));
  EXPECT_EQ(json.at("cudnn"), version_or_absent(cudnn_library()));
}

TEST_F(CudaCommands, TakeGpuLibrariesFromTheEnvironmentUnlessTold) {
  const Arguments step = {"bench", "step",     "simple_cnn", "--batch-size", "1",        "--steps",
                          "1",     "--warmup", "1",          "--json",       "--device", "cuda"};
  const auto libraries = [&](const char* value, const Arguments& more) {
    const EnvironmentVariable variable("WARPTAPE_GPU_LIBRARIES", value);
    return nlohmann::json::parse(expect_runs(step + more).out)
        .at("gpu_libraries")
        .get<std::string>();
  };
  EXPECT_EQ(libraries("", {}), "auto");
  EXPECT_EQ(libraries("on", {}), "on");
  EXPECT_EQ(libraries("off", {}), "off");
  EXPECT_EQ(libraries("off", {"--gpu-libraries", "on"}), "on");
  EXPECT_EQ(libraries("on", {"--gpu-libraries", "off"}), "off");
  EXPECT_EQ(libraries("off", {"--gpu-libraries", "auto"}), "auto");
}

// By whichever flag, and by our kernels where there is no library.
TEST_F(CudaCommands, BenchSaysTf32) {
  const Arguments quick = {"bench", "step",     "simple_cnn", "--batch-size",    "1",   "--steps",
                           "1",     "--warmup", "1",          "--gpu-libraries", "off", "--json"};
  const auto precision = [&](const Arguments& more) {
    const std::string out = expect_runs(quick + on_cuda + more).out;
    return nlohmann::json::parse(out).at("precision").get<std::string>();
  };
  EXPECT_EQ(precision({"--tf32"}), "tf32");
  EXPECT_EQ(precision({"--precision", "tf32"}), "tf32");
  EXPECT_EQ(precision({}), "float32");
}

}  // namespace
}  // namespace warptape
