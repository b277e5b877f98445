// What a file or a user names reaches the terminal and the run's files escaped.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/device/on_device.h"
#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"
#include "training/npy.h"
#include "training/safetensors.h"

namespace warptape {
namespace {

// Colours, a forged line, DEL, a C1 control, a right-to-left override, a byte that is no UTF-8; and
// what stays.
const std::string nasty =
    "n\x1b[31m\r\nwarptape: all is well\x7f\xc2\x9b"
    "2J\xe2\x80\xae\xff\xc3\xa9";
const std::string shown =
    "n\\x1b[31m\\x0d\\x0awarptape: all is well\\x7f\\u009b2J\\u202e\\xff\xc3\xa9";

void expect_harmless(const std::string& text) {
  for (const std::string part : {"\x1b", "\r", "\x7f", "\xc2\x9b", "\xe2\x80\xae", "\xff"}) {
    EXPECT_EQ(text.find(part), std::string::npos) << "raw in: " << testing::PrintToString(text);
  }
  EXPECT_EQ(text.find("\nwarptape: all is well"), std::string::npos) << text;
}

// Runs to any end but a signal; what is printed holds the name, escaped.
CommandResult run_harmless(const Arguments& arguments, int status, const std::string& part) {
  const CommandResult result = run_program(arguments);
  EXPECT_EQ(result.status, status) << result.err;
  expect_harmless(result.out);
  expect_harmless(result.err);
  EXPECT_NE((result.out + result.err).find(part), std::string::npos) << result.out << result.err;
  return result;
}

TEST(Names, OfWordsOnTheCommandLine) {
  run_harmless({"info", nasty}, 2, shown);
  run_harmless({"train", nasty}, 2, shown);
  run_harmless({"train", "simple_cnn", "--" + nasty}, 2, "all is well");
  run_harmless({"train", "simple_cnn", "--seed", nasty}, 2, "n\\x1b[31m");
  run_harmless({"train", "simple_cnn", "--optimizer", nasty}, 2, shown);
  run_harmless({"train", "simple_cnn", "--device", nasty}, 2, shown);
  run_harmless({"train", "simple_cnn", "--data", nasty}, 1, shown);
  run_harmless({"predict", "simple_cnn", "--checkpoint", "c", "--input", nasty, "--output", "y"}, 1,
               shown);
}

TEST(NamesOfKernels, OnTheCommandLine) {
  if constexpr (!has_gpu) {
    GTEST_SKIP() << "without device cuda no kernel has a name";
  }
  run_harmless({"kernel", nasty}, 2, shown);
  run_harmless({"kernel", "exp", "--ptxas", nasty}, 2, shown);
}

TEST(Names, OfTheEnvironment) {
  const EnvironmentVariable variable("WARPTAPE_GPU_LIBRARIES", nasty);
  run_harmless({"bench", "step", "simple_cnn", "--steps", "1", "--device", "cpu"}, 1,
               "WARPTAPE_GPU_LIBRARIES: got");
}

TEST(Names, OfFoldersAndFiles) {
  const TemporaryFolder folder;
  const std::string data = write_tiny_cifar10(folder, nasty);
  const std::string run = folder.path("run" + nasty);
  run_harmless({"train", "simple_cnn", "--data", data, "--out", run, "--image-size", "8",
                "--max-steps", "1", "--threads", "1"},
               0, "run" + shown);
  const std::string config = bytes_of_file(run + "/config.json");
  expect_harmless(config);
  const std::string named = nlohmann::json::parse(config).at("data");
  EXPECT_NE(named.find("n\x1b[31m\r\nwarptape: all is well\x7f\xc2\x9b"), std::string::npos)
      << named;
  const std::string checkpoint = run + "/best.safetensors";
  const std::string output = folder.path("y" + nasty);
  run_harmless({"predict", "simple_cnn", "--checkpoint", checkpoint, "--data", data, "--output",
                output, "--threads", "1"},
               0, "y" + shown);
  run_harmless({"train", "simple_cnn", "--data", data, "--out", run}, 1, "run" + shown);
  run_harmless({"train", "simple_cnn", "--data", data, "--init", run + "/config.json"}, 1,
               "run" + shown);
  run_harmless(
      {"predict", "simple_cnn", "--checkpoint", checkpoint, "--data", data, "--output", checkpoint},
      1, "run" + shown);
  save_npy(folder.path("x.npy"), tiny_images(1, 1));
  std::filesystem::rename(folder.path("x.npy"), folder.path("x" + nasty));
  run_harmless({"predict", "simple_cnn", "--checkpoint", checkpoint, "--input",
                folder.path("x" + nasty), "--output", output},
               1, "x" + shown);
  std::filesystem::remove(data + "/test_batch.bin");
  run_harmless({"train", "simple_cnn", "--data", data}, 1, shown);
  std::filesystem::create_directory(folder.path("other"));
  folder.write("other/" + nasty, "");
  run_harmless({"train", "simple_cnn", "--data", folder.path("other")}, 1, "got n\\x1b[31m");
  folder.write("run" + nasty + "/config.json", "{\"mean\": \"" + nasty);
  run_harmless({"predict", "simple_cnn", "--checkpoint", checkpoint, "--data", data}, 1,
               "run" + shown);
}

TEST(Names, InsideOfFiles) {
  const TemporaryFolder folder;
  save_npy(folder.path("x.npy"), tiny_images(1));
  const std::string text = "n\x1b[31m\nwarptape: all is well\x7f\xc2\x9b\xe2\x80\xae";
  StateDict state = tiny_state();
  state.emplace_back(text + std::string(1, '\0') + " after zero", Tensor::zeros({1}));
  state[0].first = "module." + text;
  const std::string checkpoint = write_state(folder, "c.safetensors", state);
  const CommandResult result =
      run_harmless({"predict", "simple_cnn", "--checkpoint", checkpoint, "--input",
                    folder.path("x.npy"), "--output", folder.path("y.npy")},
                   1, "unexpected: n\\x1b[31m\\x0awarptape: all is well\\x7f\\u009b\\u202e\\x00 ");
  // The message goes on after the zero byte.
  EXPECT_NE(result.err.find("missing: "), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("\\x00 after"), std::string::npos) << result.err;
  const std::string dict = "{'descr': '" + text + "', 'fortran_order': False, 'shape': (1,), }\n";
  folder.write("bad.npy", std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(dict.size()) +
                              std::string(1, '\0') + dict);
  run_harmless({"predict", "simple_cnn", "--checkpoint", checkpoint, "--input",
                folder.path("bad.npy"), "--output", folder.path("y.npy")},
               1, "got 'n\\x1b[31m");
}

}  // namespace
}  // namespace warptape
