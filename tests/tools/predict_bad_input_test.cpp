// What `warptape predict` refuses: one message, exit status 1, the earlier output left as it is.

#include <gtest/gtest.h>

#include <filesystem>

#include "core/device/device.h"
#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"
#include "training/npy.h"

namespace warptape {
namespace {

Arguments predict_arguments(const std::string& checkpoint, const std::string& input,
                            const std::string& output) {
  return {"predict", "simple_cnn", "--checkpoint", checkpoint,  "--input",
          input,     "--output",   output,         "--threads", "1"};
}

// A folder with a checkpoint, images and an output of an earlier run.
class PredictFailure {
 public:
  PredictFailure() {
    write_state(folder_, "good.safetensors", tiny_state());
    save_npy(folder_.path("good.npy"), tiny_images(2));
    folder_.write("Y.npy", "earlier output");
  }

  void expect_checkpoint_refused(const std::string& bytes, std::vector<std::string> parts) const {
    parts.push_back(folder_.write("bad.safetensors", bytes));
    expect_refused("bad.safetensors", "good.npy", parts);
  }
  void expect_input_refused(const std::string& bytes, std::vector<std::string> parts) const {
    parts.push_back(folder_.write("bad.npy", bytes));
    expect_refused("good.safetensors", "bad.npy", parts);
  }
  // Nothing is written over the earlier output, nor beside it.
  void expect_refused(const std::string& checkpoint, const std::string& input,
                      const std::vector<std::string>& parts) const {
    const std::vector<std::string> before = folder_.names();
    expect_fails(
        predict_arguments(folder_.path(checkpoint), folder_.path(input), folder_.path("Y.npy")),
        parts);
    EXPECT_EQ(folder_.read("Y.npy"), "earlier output");
    EXPECT_EQ(folder_.names(), before);
  }
  const TemporaryFolder& folder() const { return folder_; }

 private:
  TemporaryFolder folder_;
};

std::string little_endian(uint64_t value, int bytes) {
  std::string result;
  for (int i = 0; i < bytes; ++i) {
    result += static_cast<char>(value >> (8 * i) & 0xff);
  }
  return result;
}

std::string safetensors(const std::string& json, const std::string& data = "") {
  return little_endian(json.size(), 8) + json + data;
}

std::string npy(const std::string& descr, const std::string& shape, size_t data_bytes) {
  const std::string dict =
      "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
  return std::string("\x93NUMPY\x01\x00", 8) + little_endian(dict.size(), 2) + dict +
         std::string(data_bytes, '\0');
}

TEST(PredictBadInput, RefusesDamagedCheckpoints) {
  const PredictFailure failure;
  const std::string good = failure.folder().read("good.safetensors");
  const std::string size = std::to_string(good.size());
  const std::string shorter = std::to_string(good.size() - 1);
  const std::string longer = std::to_string(good.size() + 1);
  const auto entry = [](const std::string& dtype, const std::string& shape,
                        const std::string& range) {
    return R"("w":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + range +
           "}";
  };
  const auto one = [&](const std::string& dtype, const std::string& shape,
                       const std::string& range) { return "{" + entry(dtype, shape, range) + "}"; };
  const std::string valid = entry("F32", "[1]", "[0,4]");
  struct Case {
    std::string bytes;
    std::vector<std::string> parts;
  };
  const std::vector<Case> cases = {
      {"", {"got 0 bytes", "the 8"}},
      {"1234567", {"got 7 bytes", "the 8"}},
      {good.substr(0, good.size() - 1), {"got " + shorter + " bytes", "wanted " + size}},
      {good + "x", {"got " + longer + " bytes", "wanted " + size}},
      {good.substr(0, 100), {"the 92 that follow"}},
      {little_endian(1ULL << 63, 8) + "{}", {"got 9223372036854775808 bytes"}},
      {little_endian(UINT64_MAX, 8) + "{}", {"got 18446744073709551615 bytes"}},
      {safetensors("{\"a\":"), {"no JSON"}},
      {safetensors("{\"\xff\":1}"), {"UTF-8"}},
      {safetensors("{\"a\":" + std::string(5000, '[')), {"got an array"}},
      {safetensors("{" + valid + "," + valid + "}", "1234"), {"\"w\"", "twice"}},
      {safetensors(one("F8", "[1]", "[0,1]"), "1"), {"got F8", "F32"}},
      {safetensors(one("F32", "[-1]", "[0,4]"), "1234"), {"got -1", "0 or more"}},
      {safetensors(one("F32", "[4294967296,4294967296]", "[0,4]"), "1234"), {"overflows"}},
      {safetensors(one("F32", "[0,4294967296,4294967296]", "[0,0]")), {"overflows"}},
      {safetensors(one("F32", "[1]", "[4,0]"), "1234"), {"[4, 0]", "begin <= end"}},
      {safetensors(one("F32", "[1]", "[4,8]"), "12345678"), {"begin is 4", "a hole"}},
      {safetensors("{" + valid + ",\"u\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}",
                   "123456"),
       {"begin is 2, wanted 4", "overlap"}},
      {safetensors(one("F32", "[2]", "[0,4]"), "1234"), {"4 bytes, wanted 8"}},
      {failure.folder().read("good.npy"), {"got ", "safetensors"}},
  };
  for (const Case& bad : cases) {
    failure.expect_checkpoint_refused(bad.bytes, bad.parts);
  }
  failure.expect_refused("missing.safetensors", "good.npy", {"missing.safetensors", "No such"});
  failure.expect_refused("", "good.npy", {failure.folder().path(), "a directory"});
}

TEST(PredictBadInput, ListsAllThatDoesNotFitTheModel) {
  const PredictFailure failure;
  const auto refuse = [&](const StateDict& state, const std::vector<std::string>& parts) {
    const std::string path = write_state(failure.folder(), "bad.safetensors", state);
    failure.expect_checkpoint_refused(bytes_of_file(path), parts);
  };
  StateDict state = tiny_state();
  std::erase_if(state, [](const auto& named) {
    return named.first == "fc1.bias" || named.first == "conv2.weight_g";
  });
  for (auto& [key, tensor] : state) {
    if (key == "conv1.bias") {
      tensor = Tensor::zeros({63});
    }
  }
  state.emplace_back("head.weight", Tensor::zeros({2, 3}));
  refuse(state,
         {"missing: fc1.bias (256,)", "missing: conv2.weight_g (128, 1, 1, 1)",
          "unexpected: head.weight (2, 3)", "mis-shaped: conv1.bias: got (63,), wanted (64,)"});
  refuse({}, {"missing: conv1.weight_g", "missing: fc2.bias (10,)"});
  refuse({{"w", Tensor::zeros({1})}}, {"missing: fc2.weight (10, 256)", "unexpected: w (1,)"});
}

TEST(PredictBadInput, RefusesCheckpointsThatClaimSizesWithoutData) {
  // Tensors without elements whose other sizes would make a model of terabytes.
  const PredictFailure failure;
  const auto refuse = [&](const std::string& key, const Shape& shape) {
    SCOPED_TRACE(key);
    const std::string path =
        write_state(failure.folder(), "bad.safetensors", {{key, Tensor::empty(shape)}});
    failure.expect_checkpoint_refused(bytes_of_file(path), {key});
  };
  refuse("fc2.weight", {int64_t{1} << 40, 0});
  refuse("conv1.weight_v", {0, int64_t{1} << 40, 3, 3});
  refuse("fc1.weight", {0, 128 * 1024 * 1024});
}

TEST(PredictBadInput, RefusesBadImages) {
  const PredictFailure failure;
  const std::string good = failure.folder().read("good.npy");
  constexpr size_t bytes = 2 * 3 * 8 * 8 * sizeof(float);
  struct Case {
    std::string bytes;
    std::vector<std::string> parts;
  };
  const std::vector<Case> cases = {
      {"", {"got 0 bytes", "the 10"}},
      {"\x93NUMPY", {"got 6 bytes"}},
      {"PK\x03\x04 an archive of arrays", {"\\x93NUMPY"}},
      {good.substr(0, good.size() - 1), {"got 1535 bytes", "wanted 1536"}},
      {good.substr(0, 40), {"header length"}},
      {good + "x", {"got 1537 bytes", "wanted 1536"}},
      {npy("|O", "(2, 3, 8, 8)", bytes * 2), {"'|O'", "Python objects"}},
      {npy("<i8", "(2, 3, 8, 8)", bytes * 2), {"got int64", "wanted normalised float32"}},
      {npy("|u1", "(2, 3, 8, 8)", bytes / 4), {"got uint8", "wanted normalised float32"}},
      {npy("<f2", "(2, 3, 8, 9)", bytes / 2), {"got 768 bytes", "wanted 864"}},
      {npy("<f4", "(3, 8, 8)", bytes / 2), {"got shape (3, 8, 8)", "wanted (N, C, H, W)"}},
      {npy("<f4", "(384,)", bytes), {"got shape (384,)", "wanted (N, C, H, W)"}},
      {npy("<f4", "()", 4), {"got shape ()", "wanted (N, C, H, W)"}},
      {npy("<f4", "(6, 1, 8, 8)", bytes),
       {"got images (6, 1, 8, 8)", "takes (N, 3, S, S), S from 8 to 11"}},
      {npy("<f4", "(2, 3, 16, 4)", bytes),
       {"got images (2, 3, 16, 4)", "takes (N, 3, S, S), S from 8 to 11"}},
      {npy("<f4", "(2, 3, 32, 32)", 16 * bytes),
       {"(2, 3, 32, 32)", "takes (N, 3, S, S), S from 8 to 11"}},
      {npy("<f4", "(2, 3, 7, 7)", 1176), {"(2, 3, 7, 7)", "takes (N, 3, S, S), S from 8 to 11"}},
      {npy("<f4", "(9223372036854775807, 3, 8, 8)", 4), {"overflows"}},
      {npy("<f4", "(1000000000, 3, 8, 8)", 4), {"got 4 bytes", "wanted 768000000000"}},
      {npy("<f4", "(-2, 3, 8, 8)", bytes), {"got -2", "0 or more"}},
  };
  for (const Case& bad : cases) {
    failure.expect_input_refused(bad.bytes, bad.parts);
  }
  failure.expect_refused("good.safetensors", "missing.npy", {"missing.npy", "No such file"});
  failure.expect_refused("good.safetensors", "", {failure.folder().path(), "a directory"});
}

TEST(PredictBadInput, RefusesFoldersThatDoNotFit) {
  const PredictFailure failure;
  const TemporaryFolder& folder = failure.folder();
  const auto refuse = [&](const std::string& data, const std::vector<std::string>& parts) {
    expect_fails({"predict", "simple_cnn", "--checkpoint", folder.path("good.safetensors"),
                  "--data", folder.path(data), "--output", folder.path("Y.npy")},
                 parts);
    EXPECT_EQ(folder.read("Y.npy"), "earlier output");
  };
  write_tiny_cifar10(folder, "ten");
  const std::string config = folder.path("config.json");
  refuse("ten", {config, "No such file"});
  const std::string valid = R"({"image_size": 8, "mean": [0, 0, 0], "std": [1, 1, 1]})";
  for (const std::string text : {"", "x", "[]", R"({"image_size": 8, "mean": [0, 0, 0]})",
                                 R"({"image_size": -8, "mean": [0, 0, 0], "std": [1, 1, 1]})",
                                 R"({"image_size": 8.5, "mean": [0, 0, 0], "std": [1, 1, 1]})",
                                 R"({"image_size": 8, "mean": [0, 0], "std": [1, 1]})",
                                 R"({"image_size": 8, "mean": [0, 0, 0], "std": [1, 0, 1]})",
                                 R"({"image_size": 8, "mean": [0, "a", 0], "std": [1, 1, 1]})"}) {
    SCOPED_TRACE(text);
    folder.write("config.json", text);
    refuse("ten", {config});
  }
  folder.write("config.json", valid);
  refuse("missing", {folder.path("missing"), "No such file"});
  write_tiny_idx(folder, "idx");
  refuse("idx", {folder.path("idx"), "(6, 1, 8, 8)", "takes (N, 3, S, S), S from 8 to 11"});
  write_tiny_cifar100(folder, "hundred");
  refuse("hundred", {folder.path("hundred"), "got 10 classes", "99"});
  folder.write("ten/test_batch.bin", cifar10_records({3}) + "x");
  refuse("ten", {folder.path("ten/test_batch.bin"), "got 3074 bytes", "3073"});
}

TEST(PredictBadInput, RefusesOutputsThatCannotBeWritten) {
  const PredictFailure failure;
  const TemporaryFolder& folder = failure.folder();
  const std::vector<std::string> before = folder.names();
  for (const std::string output : {"none/Y.npy", "good.npy/Y.npy", "."}) {
    expect_fails(predict_arguments(folder.path("good.safetensors"), folder.path("good.npy"),
                                   folder.path(output)),
                 {folder.path(output)});
  }
  EXPECT_EQ(folder.names(), before);
}

TEST(PredictBadInput, RefusesToWriteOverWhatItReads) {
  const PredictFailure failure;
  const TemporaryFolder& folder = failure.folder();
  namespace fs = std::filesystem;
  fs::create_symlink(folder.path("good.safetensors"), folder.path("link"));
  fs::create_hard_link(folder.path("good.safetensors"), folder.path("hard"));
  fs::create_symlink(folder.path("good.npy"), folder.path("images"));
  fs::create_directory(folder.path("sub"));
  const std::string checkpoint = folder.read("good.safetensors");
  const std::string input = folder.read("good.npy");
  for (const std::string output :
       {"good.safetensors", "./good.safetensors", "sub/../good.safetensors", "link", "hard",
        "good.npy", "images", "sub//../images"}) {
    expect_fails(predict_arguments(folder.path("good.safetensors"), folder.path("good.npy"),
                                   folder.path(output)),
                 {"--output " + folder.path(output), "which the command reads"});
  }
  EXPECT_TRUE(folder.read("good.safetensors") == checkpoint);
  EXPECT_TRUE(folder.read("good.npy") == input);
  // Read through a link, written by its own name.
  expect_fails(
      predict_arguments(folder.path("link"), folder.path("images"), folder.path("good.npy")),
      {"--output"});
  write_tiny_cifar10(folder, "ten");
  folder.write("config.json", R"({"image_size": 8, "mean": [0, 0, 0], "std": [1, 1, 1]})");
  folder.write("ten/y.npy", "earlier output");
  const auto arguments = [&](const std::string& output) {
    return Arguments{"predict",      "simple_cnn",
                     "--checkpoint", folder.path("good.safetensors"),
                     "--data",       folder.path("ten"),
                     "--output",     folder.path(output),
                     "--threads",    "1"};
  };
  for (const std::string output : {"config.json", "ten/test_batch.bin", "ten/data_batch_1.bin",
                                   "good.safetensors", "ten/../hard"}) {
    const std::string before = folder.read(output);
    expect_fails(arguments(output), {"--output " + folder.path(output)});
    EXPECT_TRUE(folder.read(output) == before) << output;
  }
  expect_runs(arguments("ten/y.npy"));
}

TEST(PredictBadInput, RefusesTf32WithoutEffect) {
  const PredictFailure failure;
  const TemporaryFolder& folder = failure.folder();
  const auto refuse = [&](const Arguments& more, const std::string& part) {
    expect_fails(predict_arguments(folder.path("good.safetensors"), folder.path("good.npy"),
                                   folder.path("Y.npy")) +
                     Arguments{"--tf32"} + more,
                 {part});
  };
  refuse({"--device", "cpu"}, "--tf32: got --device cpu");
  refuse({}, "--tf32: got --device auto, which found no GPU");
  EXPECT_EQ(folder.read("Y.npy"), "earlier output");
}

TEST(PredictBadInput, RefusesADeviceThatIsNotThere) {
  if (is_available(DeviceType::CUDA)) {
    GTEST_SKIP() << "it is there";
  }
  const PredictFailure failure;
  const TemporaryFolder& folder = failure.folder();
  expect_fails(predict_arguments(folder.path("good.safetensors"), folder.path("good.npy"),
                                 folder.path("Y.npy")) +
                   Arguments{"--device", "cuda"},
               {"cuda:0 is not available: "});
  EXPECT_EQ(folder.read("Y.npy"), "earlier output");
}

}  // namespace
}  // namespace warptape
