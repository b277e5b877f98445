// `warptape bench step`, `warptape info`, help and wrong usage.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/device/device.h"
#include "core/device/gpu.h"
#include "core/device/on_device.h"
#include "kernels/vendor/onednn.h"
#include "tests/temporary_folder.h"
#include "tests/tools/command_line.h"

namespace warptape {
namespace {

const Arguments quick_step = {"bench", "step",     "simple_cnn", "--batch-size", "2", "--steps",
                              "3",     "--warmup", "1",          "--threads",    "1"};

TEST(BenchCommand, MeasuresAStep) {
  const std::string out = expect_runs(quick_step).out;
  for (const char* part : {"batch 2, images 3x32x32, SGD", "1 thread\n", "median", "of 3 steps",
                           "samples/s", "peak memory"}) {
    EXPECT_NE(out.find(part), std::string::npos) << out << "\nlacks: " << part;
  }
  EXPECT_EQ(out.find("conv2d"), std::string::npos) << out;
}

TEST(BenchCommand, PrintsJson) {
  const auto json = nlohmann::json::parse(
      expect_runs(quick_step + Arguments{"--json", "--profile"}).out, nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json.at("model"), "simple_cnn");
  EXPECT_EQ(json.at("batch_size"), 2);
  EXPECT_EQ(json.at("threads"), 1);
  EXPECT_EQ(json.at("steps"), 3);
  const double median = json.at("median_ms");
  EXPECT_GT(median, 0);
  EXPECT_LE(json.at("min_ms"), median);
  EXPECT_GE(json.at("max_ms"), median);
  EXPECT_NEAR(json.at("samples_per_second").get<double>(), 2000 / median, 1e-6 * 2000 / median);
  // The parameters alone take more than 8 MiB, and everything lies in the process's memory.
  EXPECT_GT(json.at("peak_tensors_mb"), 8);
  EXPECT_GT(json.at("peak_rss_mb"), json.at("peak_tensors_mb"));
  double self_ms = 0;
  for (const auto& [name, total] : json.at("profile").items()) {
    self_ms += total.at("self_ms").get<double>();
  }
  EXPECT_EQ(json.at("profile").at("step").at("calls"), 3);
  EXPECT_GT(self_ms, json.at("min_ms").get<double>() * 0.5);
  EXPECT_LT(self_ms, json.at("max_ms").get<double>() * 1.5);
}

TEST(BenchCommand, ComparesWithAnEarlierRun) {
  const TemporaryFolder folder;
  const Arguments json = quick_step + Arguments{"--json", "--profile"};
  auto before = nlohmann::json::parse(expect_runs(json).out);
  EXPECT_GT(before.at("cpu_ms"), 0);
  EXPECT_FALSE(before.contains("baseline"));
  before["median_ms"] = 4.0;
  before["profile"]["conv2d"]["self_ms"] = 0.5;
  before["profile"]["linear"]["self_ms"] = 0;  // no ratio to nothing
  const std::string path = folder.write("before.json", before.dump());
  const auto now = nlohmann::json::parse(expect_runs(json + Arguments{"--baseline", path}).out);
  const auto& ratios = now.at("baseline");
  EXPECT_EQ(ratios.at("median_ms").at("before"), 4.0);
  EXPECT_EQ(ratios.at("median_ms").at("now"), now.at("median_ms"));
  EXPECT_EQ(ratios.at("median_ms").at("ratio"), now.at("median_ms").get<double>() / 4);
  EXPECT_EQ(ratios.at("min_ms").at("before"), before.at("min_ms"));
  EXPECT_EQ(ratios.at("profile").at("conv2d").at("ratio"),
            now.at("profile").at("conv2d").at("self_ms").get<double>() / 0.5);
  EXPECT_FALSE(ratios.at("profile").contains("linear"));
  const std::string out = expect_runs(quick_step + Arguments{"--baseline", path}).out;
  EXPECT_NE(out.find("against the baseline"), std::string::npos) << out;
  EXPECT_NE(out.find("     4.000 -> "), std::string::npos) << out;
}

TEST(BenchCommand, RefusesABaselineOfSomethingElse) {
  const TemporaryFolder folder;
  const auto before = nlohmann::json::parse(expect_runs(quick_step + Arguments{"--json"}).out);
  const auto expect_refused = [&](const std::string& bytes, const std::vector<std::string>& parts) {
    const std::string path = folder.write("before.json", bytes);
    expect_fails(quick_step + Arguments{"--baseline", path}, parts);
  };
  expect_fails(quick_step + Arguments{"--baseline", folder.path("none")}, {"[bench step]", "none"});
  expect_refused("hello", {"[bench step]", "before.json", "no JSON object", "--json"});
  expect_refused("[1]", {"no JSON object"});
  expect_refused("{}", {"got no \"model\""});
  const auto with = [&](const char* name, const nlohmann::json& value) {
    auto changed = before;
    changed[name] = value;
    return changed.dump();
  };
  expect_refused(with("median_ms", "fast"), {"median_ms: got fast"});
  expect_refused(with("min_ms", 0), {"min_ms: got 0"});
  expect_refused(with("model", "mlp\n"), {"model: got mlp\\x0a, wanted simple_cnn"});
  expect_refused(with("device", "cuda:0"), {"device: got cuda:0, wanted cpu"});
  expect_refused(with("device_name", "another"), {"device_name: got another"});
  expect_refused(with("precision", "bf16"), {"precision: got bf16, wanted float32"});
  expect_refused(with("batch_size", 3), {"batch_size: got 3, wanted 2"});
  expect_refused(with("threads", 2), {"threads: got 2, wanted 1"});
}

TEST(BenchCommand, MeasuresAStepOfSequences) {
  const std::string out = expect_runs({"bench", "step", "tcn_c64", "--batch-size", "1", "--steps",
                                       "1", "--warmup", "1", "--threads", "1", "--profile"})
                              .out;
  for (const char* part : {"tcn_c64 training step, batch 1, TCN 4x64", "median", "conv1d"}) {
    EXPECT_NE(out.find(part), std::string::npos) << out << "\nlacks: " << part;
  }
}

TEST(BenchCommand, PrintsAProfile) {
  const std::string out = expect_runs(quick_step + Arguments{"--profile"}).out;
  EXPECT_NE(out.find("conv2d"), std::string::npos) << out;
  EXPECT_NE(out.find(" %  step\n"), std::string::npos) << out;
}

TEST(BenchCommand, MeasuresAStream) {
  const Arguments stream = {"bench", "stream",  "--channels", "3,3",       "--calls",
                            "5",     "--block", "2",          "--threads", "1"};
  const std::string out = expect_runs(stream).out;
  for (const char* part : {"TCN of 2 blocks, kernel size 7", "2 steps a call", "channels 3,3",
                           "steps/s of every stream", "median", "of 5 (99 % below"}) {
    EXPECT_NE(out.find(part), std::string::npos) << out << "\nlacks: " << part;
  }
  const auto json = nlohmann::json::parse(
      expect_runs(stream + Arguments{"--json", "--kernel-size", "3,2", "--skip-channels", "4"})
          .out);
  EXPECT_EQ(json.at("block"), 2);
  EXPECT_EQ(json.at("kernel_size"), std::vector<int>({3, 2}));
  EXPECT_GT(json.at("median_us"), 0);
  EXPECT_GE(json.at("max_us"), json.at("percentile_99_us"));
  // The total time is that of the calls.
  EXPECT_GE(json.at("steps_per_second").get<double>() * json.at("max_us").get<double>() * 1.001,
            2e6);
}

TEST(BenchCommand, MeasuresAConvolution) {
  const Arguments conv = {"bench",    "conv1d", "--batch-size", "2",  "--calls",   "3",
                          "--length", "50",     "--dilation",   "20", "--threads", "1"};
  const std::string out = expect_runs(conv).out;
  for (const char* part : {"conv1d 25 to 25 channels", "of 2x50 steps", "cpu with 1 thread",
                           "in registers", "forward", "backward", "% of that"}) {
    EXPECT_NE(out.find(part), std::string::npos) << out << "\nlacks: " << part;
  }
  const auto json = nlohmann::json::parse(expect_runs(conv + Arguments{"--json"}).out);
  // Taps 3 to 6 meet nothing: 50 + 30 + 10 products along the line.
  EXPECT_NEAR(json.at("forward_gflops").get<double>() * json.at("forward_ms").get<double>(),
              2 * 2 * 25 * 25 * 90 / 1e6, 1e-6);
  EXPECT_GT(json.at("peak_gflops"), 0);
}

TEST(BenchCommand, MeasuresWeightNorm) {
  const Arguments small = {"bench",     "weight_norm", "--only",   "64x27",
                           "--seconds", "0",           "--device", "cpu"};
  const std::string out = expect_runs(small).out;
  for (const char* part : {"64x27", "forward", "backward", "GB/s", "of copy"}) {
    EXPECT_NE(out.find(part), std::string::npos) << out << "\nlacks: " << part;
  }
  const auto results =
      nlohmann::json::parse(expect_runs(small + Arguments{"--json"}).out)["results"];
  ASSERT_EQ(results.size(), 2);
  // v and w; v, dw and dv. Of every row g and 1 / ||v||, behind it the gradient of g, too.
  EXPECT_EQ(results[0].at("bytes"), 2 * 64 * 27 * 4 + 64 * (4 + 8));
  EXPECT_EQ(results[0].at("shapes").dump(), "[[64,27]]");
  EXPECT_EQ(results[1].at("bytes"), 3 * 64 * 27 * 4 + 64 * (4 + 8 + 4));
  for (const auto& row : results) {
    EXPECT_NEAR(row.at("gb_per_s").get<double>() * row.at("median_ms").get<double>() * 1e6,
                row.at("bytes").get<double>(), 1);
    EXPECT_NEAR(row.at("share_of_copy").get<double>() * row.at("copy_gb_per_s").get<double>(),
                row.at("gb_per_s").get<double>(), 1e-6);
  }
  expect_fails({"bench", "weight_norm", "--only", "3x3", "--device", "cpu"},
               {"[bench weight_norm] --only", "3x3"});
  expect_usage_error({"bench", "weight_norm", "--seconds", "-1"}, {"--seconds", "-1", "0 to 3600"});
}

TEST(BenchCommand, WeightNormOfWholeModels) {
  // 78 weights of 13.9 million elements, as its paper's authors count them.
  const std::string help = expect_runs({"bench", "weight_norm", "--help"}).out;
  for (const char* part : {"78 weights, 13916384 elements", "16 weights, 70000 elements"}) {
    EXPECT_NE(help.find(part), std::string::npos) << help << "\nlacks: " << part;
  }
  const Arguments tcn = {"bench",     "weight_norm", "--only",   "tcn", "--json",
                         "--seconds", "0",           "--device", "cpu"};
  const auto results = nlohmann::json::parse(expect_runs(tcn).out)["results"];
  ASSERT_EQ(results.size(), 2);
  EXPECT_EQ(results[1].at("bytes"), 16 * (3 * 25 * 25 * 7 * 4 + 25 * (4 + 8 + 4)));
}

TEST(BenchCommand, TimesKernelsOnAGpuOnly) {
  if (!is_available(DeviceType::CUDA)) {
    expect_fails({"bench", "kernels"}, {"[bench kernels]", "got cpu", "--device cuda"});
  }
  expect_usage_error({"bench", "kernels", "--device", "cpu"}, {"--device", "cpu"});
  expect_usage_error({"bench", "kernels", "--repeats", "0"}, {"--repeats"});
}

TEST(BenchCommand, TakesGpuLibrariesFromTheEnvironment) {
  const char* const name = "WARPTAPE_GPU_LIBRARIES";
  const Arguments on_cpu = quick_step + Arguments{"--device", "cpu"};
  for (const char* value : {"", "auto", "on", "off"}) {
    const EnvironmentVariable variable(name, value);
    expect_runs(on_cpu);
  }
  const EnvironmentVariable variable(name, "of");
  expect_fails(on_cpu, {name, "got \"of\", wanted auto, on or off"});
}

TEST(BenchCommand, RefusesADeviceThatIsNotThere) {
  if (is_available(DeviceType::CUDA)) {
    GTEST_SKIP() << "it is there";
  }
  expect_fails(quick_step + Arguments{"--device", "cuda"}, {"cuda:0 is not available: "});
}

// An emulated device is never called a GPU.
std::string cuda_line() {
  if constexpr (has_gpu) {
    if (gpu::is_emulated()) {
      return "no GPU: \"cuda\" is emulated";
    }
    return gpu::device_count() > 0 ? "sm_" : "not available: ";
  } else {
    return "this build has no GPU backend";
  }
}

TEST(InfoCommand, SaysWhatIsThere) {
  const std::string out = expect_runs({"info"}).out;
  const std::vector<std::string> parts = {
      "warptape ",     "threads",
      "fmt",           "CLI11",
      "nlohmann-json", "OpenMP",
      "compiler",      onednn_is_built_in() ? onednn_version() : "not built in",
      cuda_line(),     "cuBLASLt",
      "cuDNN"};
  for (const std::string& part : parts) {
    EXPECT_NE(out.find(part), std::string::npos) << out << "\nlacks: " << part;
  }
}

// A processor without instructions for bfloat16 is slower, and is said to be.
TEST(InfoCommand, SaysHowBfloat16IsComputed) {
  const bool takes = onednn_takes(bfloat16);
  const std::string out = expect_runs({"info"}).out;
  EXPECT_EQ(out.find("bfloat16      products by the processor's own") != std::string::npos, takes)
      << out;
  const EnvironmentVariable variable("ONEDNN_MAX_CPU_ISA", "AVX2");
  const std::string limited = expect_runs({"info"}).out;
  EXPECT_NE(limited.find("bfloat16      products by float32 copies"), std::string::npos) << limited;
  expect_runs(quick_step + Arguments{"--precision", "bf16", "--device", "cpu"});
}

TEST(InfoCommand, HelpOfEveryCommandHasAnExample) {
  for (const Arguments& command : {Arguments{},
                                   {"train"},
                                   {"predict"},
                                   {"bench"},
                                   {"bench", "step"},
                                   {"bench", "kernels"},
                                   {"bench", "weight_norm"},
                                   {"kernel"},
                                   {"info"}}) {
    SCOPED_TRACE(testing::PrintToString(command));
    std::string words = "warptape";
    for (const std::string& word : command) {
      words += " " + word;
    }
    for (const char* flag : {"--help", "-h"}) {
      const std::string out = expect_runs(command + Arguments{flag}).out;
      EXPECT_NE(out.find("Usage: " + words), std::string::npos) << out;
      const size_t example = out.find("Example");
      ASSERT_NE(example, std::string::npos) << out;
      EXPECT_NE(out.find("\n  " + words, example), std::string::npos) << out;
    }
  }
}

TEST(InfoCommand, TrainHelpNamesEveryOption) {
  const std::string out = expect_runs({"train", "--help"}).out;
  for (const char* option : {"--data",
                             "--image-size",
                             "--mean",
                             "--std",
                             "--validation",
                             "--epochs",
                             "--max-steps",
                             "--batch-size",
                             "--drop-last",
                             "--optimizer",
                             "--lr",
                             "--momentum",
                             "--weight-decay",
                             "--schedule",
                             "--clip-norm",
                             "--dtype",
                             "--seed",
                             "--no-shuffle",
                             "--no-weight-norm",
                             "--init",
                             "--out",
                             "--device",
                             "--data-on-device",
                             "--threads",
                             "--gpu-libraries",
                             "--tf32"}) {
    EXPECT_NE(out.find(std::string("\n  ") + option), std::string::npos) << option;
  }
}

TEST(InfoCommand, VersionIsPrinted) {
  EXPECT_TRUE(expect_runs({"--version"}).out.starts_with("warptape 0."));
}

TEST(InfoCommand, WrongUsageEndsWithStatus2) {
  const TemporaryFolder folder;
  const Arguments train = {"train", "simple_cnn",      "--data", folder.path("none"),
                           "--out", folder.path("run")};
  const Arguments predict = {"predict", "simple_cnn"};
  struct Case {
    Arguments arguments;
    std::vector<std::string> parts;
  };
  std::vector<Case> cases = {
      {{}, {"subcommand"}},
      {{"fly"}, {}},
      {{"bench"}, {"subcommand"}},
      {{"info", "extra"}, {"extra"}},
      {{"train"}, {"model"}},
      {{"train", "resnet"}, {"resnet", "simple_cnn"}},
      {{"bench", "step"}, {"model"}},
      {{"bench", "step", "resnet"}, {"resnet", "simple_cnn"}},
      {{"predict"}, {"required"}},
      {{"predict", "resnet"}, {"resnet", "simple_cnn"}},
      {predict + Arguments{"--input", "x", "--output", "y"}, {"--checkpoint"}},
      {predict + Arguments{"--checkpoint", "c", "--output", "y"}, {"--input"}},
      {predict + Arguments{"--checkpoint", "c", "--input", "x"}, {"--output"}},
      {predict + Arguments{"--checkpoint"}, {"--checkpoint"}},
      {{"bench", "step", "simple_cnn", "--steps", "0"}, {"--steps", "0"}},
      {{"bench", "step", "simple_cnn", "--batch-size", "0"}, {"--batch-size", "0"}},
      {{"bench", "step", "simple_cnn", "--threads", "-3"}, {"--threads", "-3"}},
      {predict + Arguments{"--checkpoint", "c", "--input", "x", "--data", "d", "--output", "y"},
       {"--input", "--data"}},
  };
  const std::vector<std::pair<std::string, std::string>> wrong_values = {
      {"--epochs", "0"},
      {"--epochs", "1.5"},
      {"--epochs", "many"},
      {"--max-steps", "0"},
      {"--batch-size", "-1"},
      {"--batch-size", "0"},
      {"--lr", "nan"},
      {"--lr", "inf"},
      {"--lr", "-1"},
      {"--lr", "1x"},
      {"--momentum", "1"},
      {"--momentum", "-0.1"},
      {"--validation", "0"},
      {"--validation", "1.5"},
      {"--validation", "1"},
      {"--std", "0"},
      {"--std", "-1"},
      {"--std", "0.5,0,0.5"},
      {"--mean", "nan"},
      {"--clip-norm", "0"},
      {"--clip-norm", "-1"},
      {"--dtype", "float16"},
      {"--threads", "0"},
      {"--image-size", "3"},
      {"--optimizer", "lion"},
      {"--schedule", "linear"},
      {"--weight-decay", "-1"},
      {"--device", "tpu"},
      {"--gpu-libraries", "maybe"},
      {"--seed", "one"},
      {"--seed", "-1"},
      {"--gamma", "0"},
      {"--step-epochs", "0"},
      {"--warmup-steps", "-1"},
      {"--min-lr", "-1"},
      {"--epochs", "99999999999999999999"},
  };
  for (const auto& [option, value] : wrong_values) {
    cases.push_back({train + Arguments{option, value}, {option}});
  }
  cases.push_back({train + Arguments{"--learning-rate", "1"}, {"--learning-rate"}});
  cases.push_back({train + Arguments{"--lr", "1", "--lr", "2"}, {"--lr"}});
  cases.push_back({train + Arguments{"--lr"}, {"--lr"}});
  for (const Case& wrong : cases) {
    expect_usage_error(wrong.arguments, wrong.parts, folder.path());
  }
  EXPECT_EQ(folder.names(), std::vector<std::string>{}) << "something was written";
}

}  // namespace
}  // namespace warptape
