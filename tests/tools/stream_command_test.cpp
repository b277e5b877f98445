// warptape stream: lines of numbers, and WAV files.

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <thread>

#include "core/random.h"
#include "kernels/concat/concat.h"
#include "kernels/reshape/reshape.h"
#include "kernels/slice/slice.h"
#include "kernels/transpose/transpose.h"
#include "models/tcn.h"
#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"
#include "training/npy.h"
#include "training/recipe.h"
#include "training/safetensors.h"
#include "training/sequence_checkpoint.h"
#include "training/task_metadata.h"
#include "training/wav.h"

namespace warptape {
namespace {

// A TCN and its checkpoint.
class Streamed {
 public:
  // task: what the checkpoint says of it.
  explicit Streamed(SequenceModelOptions general, OptionValues own = {},
                    const std::string& task = "") {
    general.every_step = true;
    own["channels"] = std::vector<int64_t>{4, 3};
    own["kernel_size"] = std::vector<int64_t>{3};
    own = sequence_models().complete({"tcn", own});
    manual_seed(5);
    model_ = sequence_models().find("tcn").make(general, own);
    model_->eval();
    auto metadata = sequence_metadata({"tcn", own}, general);
    if (!task.empty()) {
      metadata[task_metadata_key] = task;
    }
    save_safetensors(checkpoint(), state_dict(*model_), metadata);
  }

  const TemporaryFolder& folder() const { return folder_; }
  std::string checkpoint() const { return folder_.path("model.safetensors"); }
  Arguments arguments(const Arguments& more = {}) const {
    return Arguments{"stream", "--checkpoint", checkpoint(), "--device", "cpu"} + more;
  }
  // x (N, C, L): the outputs (N, L, size).
  Tensor outputs(const Tensor& x) { return (*model_)(x); }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<Module> model_;
};

std::string lines_of(const Tensor& x) {  // (1, C, L)
  std::string text;
  const auto values = x.to_vector<float>();
  for (int64_t t = 0; t < x.size(2); ++t) {
    for (int64_t c = 0; c < x.size(1); ++c) {
      text += fmt::format("{}{:.9g}",
                          c == 0   ? ""
                          : c == 1 ? " "
                                   : ",",
                          values[static_cast<size_t>(c * x.size(2) + t)]);
    }
    text += '\n';
  }
  return text;
}

std::vector<double> numbers_in(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<double>(stream), {}};
}

TEST(StreamCommand, AnswersEachLine) {
  Streamed streamed({.input_channels = 3, .output_size = 2});
  const Tensor x = randn({1, 3, 30});
  const CommandResult result = run_with_input(streamed.arguments(), lines_of(x));
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 30);
  EXPECT_LE(relative_difference(numbers_in(result.out), as_doubles(streamed.outputs(x))), 1e-5);
  EXPECT_NE(result.err.find("30 steps"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("median"), std::string::npos) << result.err;

  // In two parts, with what the first one remembers.
  const std::string state = streamed.folder().path("state.safetensors");
  const CommandResult first = run_with_input(streamed.arguments({"--save-state", state, "--quiet"}),
                                             lines_of(slice(x, 2, 0, 13)));
  EXPECT_EQ(first.err, "");
  const CommandResult second =
      run_with_input(streamed.arguments({"--load-state", state}), lines_of(slice(x, 2, 13)));
  EXPECT_EQ(first.out + second.out, result.out);
}

TEST(StreamCommand, NamesALineOfTextAndKeepsItsState) {
  Streamed streamed({.input_channels = 2});
  const std::string good = "1 2\n0.5,-3\n";
  const std::string wanted = run_with_input(streamed.arguments(), good).out;
  const CommandResult mixed = run_with_input(
      streamed.arguments(), "1\t2\r\nhello\x1b 1\n1 2 3\n\n1\nnan 1\n 0.5 , -3 \n1e999 0\n");
  EXPECT_EQ(mixed.out, wanted);
  EXPECT_EQ(mixed.status, 1);
  for (const char* part :
       {"line 2: got \"hello\\x1b 1\", wanted 2 numbers; the state stays", "line 3: got \"1 2 3\"",
        "line 4: got \"\"", "line 5: got \"1\"", "line 6: got \"nan 1\"", "line 8: got \"1e999 0\"",
        "2 steps", "6 lines refused"}) {
    EXPECT_NE(mixed.err.find(part), std::string::npos) << part << "\n" << mixed.err;
  }
  EXPECT_EQ(mixed.err.find("line 7"), std::string::npos) << mixed.err;
}

TEST(StreamCommand, CentredModelsGiveTheirLastLinesAtTheEnd) {
  Streamed streamed({.input_channels = 1}, {{"centred", true}});
  for (const int64_t length : {1, 4, 20}) {
    const Tensor x = randn({1, 1, length});
    const CommandResult result = run_with_input(streamed.arguments(), lines_of(x));
    EXPECT_LE(relative_difference(numbers_in(result.out), as_doubles(streamed.outputs(x))), 1e-5)
        << length << ": " << result.out;
  }
}

// Each channel as training had it.
Tensor scaled(const Tensor& x, const std::vector<double>& mean, const std::vector<double>& std) {
  const auto channels = static_cast<int64_t>(mean.size());
  const Tensor means = tensor<double>(mean, {1, channels, 1}).to(x.dtype());
  return (x - means) / tensor<double>(std, {1, channels, 1}).to(x.dtype());
}

// (1, L, K): each step becomes the mean of those up to it.
std::vector<double> running_means(const Tensor& y) {
  std::vector<double> values = as_doubles(y);
  const auto outputs = static_cast<size_t>(y.size(2));
  std::vector<double> sums(outputs);
  for (size_t i = 0; i < values.size(); ++i) {
    sums[i % outputs] += values[i];
    values[i] = sums[i % outputs] / static_cast<double>(i / outputs + 1);
  }
  return values;
}

TEST(StreamCommand, AnswersForASeriesAsItWasTrained) {
  const std::vector<double> mean{10, -3};
  const std::vector<double> std{4, 0.5};
  for (const char* pooling : {"last", "mean"}) {
    for (const bool centred : {false, true}) {
      Streamed streamed({.input_channels = 2, .output_size = 3}, {{"centred", centred}},
                        to_json(SeriesMetadata{.classes = {"a", "b", "c"},
                                               .pooling = pooling,
                                               .normalise = "channel",
                                               .mean = mean,
                                               .std = std}));
      const Tensor x = randn({1, 2, 20}) * 3.0 + 5.0;
      const Tensor y = streamed.outputs(scaled(x, mean, std));
      const bool is_mean = std::string(pooling) == "mean";
      const std::vector<double> wanted = is_mean ? running_means(y) : as_doubles(y);
      const CommandResult result = run_with_input(streamed.arguments(), lines_of(x));
      EXPECT_LE(relative_difference(numbers_in(result.out), wanted), 1e-5)
          << pooling << centred << result.err;

      // Its last line is what predict says of the whole series.
      const TemporaryFolder& folder = streamed.folder();
      save_npy(folder.path("X.npy"), x);
      expect_runs({"predict", "tcn", "--checkpoint", streamed.checkpoint(), "--input",
                   folder.path("X.npy"), "--output", folder.path("Y.npy"), "--device", "cpu"});
      if (is_mean) {
        EXPECT_LE(relative_difference(as_doubles(load_npy(folder.path("Y.npy"))),
                                      std::vector<double>(wanted.end() - 3, wanted.end())),
                  1e-5);
      }

      // In two parts: what the outputs were so far is part of the state.
      const std::string state = folder.path("state.safetensors");
      const CommandResult first =
          run_with_input(streamed.arguments({"--save-state", state}), lines_of(slice(x, 2, 0, 13)));
      const CommandResult second =
          run_with_input(streamed.arguments({"--load-state", state}), lines_of(slice(x, 2, 13)));
      EXPECT_EQ(first.out + second.out, result.out);
      if (is_mean) {
        StateDict cut = load_safetensors(state).tensors;
        cut.erase(std::remove_if(cut.begin(), cut.end(),
                                 [](const auto& entry) { return entry.first == "outputs.sum"; }),
                  cut.end());
        save_safetensors(state, cut);
        expect_fails(streamed.arguments({"--load-state", state}),
                     {"state.safetensors", "outputs.sum: got none", "mean of its outputs"});
      }
      expect_fails(streamed.arguments({"--wav", folder.path("in.wav"), folder.path("out.wav")}),
                   {"[stream] --wav: got a checkpoint of series, 3 classes"});
    }
  }
  // A steady input is a number of the file's, too.
  Streamed streamed(
      {.input_channels = 1}, {},
      to_json(SeriesMetadata{.classes = {"a"}, .normalise = "channel", .mean = {7}, .std = {2}}));
  const double settled =
      as_doubles(streamed.outputs(Tensor::full({1, 1, 40}, (8.0 - 7.0) / 2))).back();
  const std::vector<double> got =
      numbers_in(run_with_input(streamed.arguments({"--steady", "8"}), "8\n").out);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_NEAR(got[0], settled, 1e-5);
}

TEST(StreamCommand, TakesPixelsAndRefusesWhatNeedsAWholeSequence) {
  Streamed pixels({.input_channels = 1}, {},
                  to_json(PixelMetadata{.mean = {0.25}, .std = {0.5}, .steps = 6}));
  const Tensor x = tensor<float>({0, 255, 17, 3, 128, 64}, {1, 1, 6});
  const CommandResult result = run_with_input(pixels.arguments(), lines_of(x));
  EXPECT_LE(relative_difference(numbers_in(result.out),
                                as_doubles(pixels.outputs(scaled(x * (1 / 255.0), {0.25}, {0.5})))),
            1e-5)
      << result.err;
  Streamed permuted({.input_channels = 1}, {},
                    to_json(PixelMetadata{.mean = {0}, .std = {1}, .permute = 3, .steps = 6}));
  expect_fails(permuted.arguments(),
               {"[stream] --checkpoint", "in an order of its own", "warptape predict"});
  Streamed by_series({.input_channels = 1}, {},
                     to_json(SeriesMetadata{.classes = {"a"}, .normalise = "series"}));
  expect_fails(by_series.arguments(),
               {"normalises each series by its own mean and deviation", "before its last step"});
  Streamed other(
      {.input_channels = 2}, {},
      to_json(SeriesMetadata{.classes = {"a"}, .normalise = "channel", .mean = {7}, .std = {2}}));
  expect_fails(other.arguments(), {"got the mean of 1 channels, the model takes 2"});
  Streamed classes({.input_channels = 2}, {}, to_json(SeriesMetadata{.classes = {"a", "b"}}));
  expect_fails(classes.arguments(), {"got 2 classes and 1 outputs"});
}

// What is said of a checkpoint's keys stands beside the answers, not among them.
TEST(StreamCommand, AnswersAloneStandOnStandardOutput) {
  Streamed streamed({.input_channels = 1});
  const std::string plain = run_with_input(streamed.arguments(), "1\n2\n").out;
  NamedTensors wrapped = load_safetensors(streamed.checkpoint());
  for (auto& [name, value] : wrapped.tensors) {
    name.insert(0, "module.");
  }
  save_safetensors(streamed.checkpoint(), wrapped.tensors, wrapped.metadata);
  const CommandResult result = run_with_input(streamed.arguments(), "1\n2\n");
  EXPECT_EQ(result.out, plain);
  EXPECT_NE(result.err.find("took \"module.\" off its keys"), std::string::npos) << result.err;
}

TEST(StreamCommand, CentredModelsGoOnWithTheLinesThatTheyOwe) {
  Streamed streamed({.input_channels = 1}, {{"centred", true}});
  const Tensor x = randn({1, 1, 20});
  const std::string wanted = run_with_input(streamed.arguments(), lines_of(x)).out;
  const std::string state = streamed.folder().path("state.safetensors");
  for (const int64_t first : {2, 13, 20}) {  // fewer than the model looks ahead; all
    const CommandResult begun = run_with_input(streamed.arguments({"--save-state", state}),
                                               lines_of(slice(x, 2, 0, first)));
    const CommandResult rest =
        run_with_input(streamed.arguments({"--load-state", state}), lines_of(slice(x, 2, first)));
    EXPECT_EQ(begun.out + rest.out, wanted) << first;
  }
}

// What is larger than the model's numbers would be infinite in its state.
TEST(StreamCommand, RefusesNumbersThatTheModelHasNoRoomFor) {
  Streamed streamed({.input_channels = 1});
  const CommandResult result = run_with_input(streamed.arguments(), "1e39\n0.5\n");
  EXPECT_EQ(result.out, run_with_input(streamed.arguments(), "0.5\n").out);
  EXPECT_NE(result.err.find("line 1: got \"1e39\", wanted 1 number of at most 3.4"),
            std::string::npos)
      << result.err;
  expect_fails(streamed.arguments({"--steady", "-1e39"}), {"--steady: got -1e+39"});
  Streamed wide({.input_channels = 1, .dtype = float64});
  EXPECT_EQ(run_with_input(wide.arguments(), "1e39\n").status, 0);
  Streamed normalised({.input_channels = 1}, {},
                      to_json(SeriesMetadata{
                          .classes = {"a"}, .normalise = "channel", .mean = {0}, .std = {1e-3}}));
  expect_fails(normalised.arguments({"--steady", "1e37"}), {"at most 3.403e+38 once normalised"});
  EXPECT_EQ(run_with_input(normalised.arguments(), "1e37\n").status, 1);
}

TEST(StreamCommand, WritesAllDigitsOfAModelInFloat64) {
  Streamed streamed({.input_channels = 1, .dtype = float64});
  const Tensor x = Tensor::full({1, 1, 1}, 0.5, float64);
  const std::vector<double> got = numbers_in(run_with_input(streamed.arguments(), "0.5\n").out);
  EXPECT_LE(relative_difference(got, as_doubles(streamed.outputs(x))), 1e-14);
}

// Also while it waits for the next line.
TEST(StreamCommand, KeepsItsStateWhereASignalEndsIt) {
  Streamed streamed({.input_channels = 1});
  const std::string state = streamed.folder().path("state.safetensors");
  const std::string lines = streamed.folder().path("lines");
  ASSERT_EQ(::mkfifo(lines.c_str(), 0600), 0);
  const int writer = ::open(lines.c_str(), O_RDWR);
  ASSERT_GE(writer, 0);
  RunningProgram program(streamed.arguments({"--save-state", state}), "", {}, "", lines);
  // It reads once it notes signals, and answers once it has read.
  const std::string text = "refused\n0.5\n0.25\n";
  ASSERT_EQ(::write(writer, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  for (int i = 0; i < 6000 && program.errors().find("line 1") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  program.send(SIGTERM);
  const CommandResult result = program.wait();
  ::close(writer);
  EXPECT_EQ(result.status, 128 + SIGTERM) << result.err;
  ASSERT_TRUE(std::filesystem::exists(state));
  const std::string rest =
      run_with_input(streamed.arguments({"--load-state", state}), "2\n-1\n").out;
  const auto answered = std::count(result.out.begin(), result.out.end(), '\n');
  const std::vector<std::string> given = {"", "0.5\n", "0.5\n0.25\n"};
  ASSERT_LE(answered, 2);
  EXPECT_EQ(
      result.out + rest,
      run_with_input(streamed.arguments(), given[static_cast<size_t>(answered)] + "2\n-1\n").out);
}

TEST(StreamCommand, RefusesToWriteOverWhatItReads) {
  Streamed streamed({.input_channels = 1});
  const TemporaryFolder& folder = streamed.folder();
  const std::string in = folder.path("in.wav");
  const std::string state = folder.path("state.safetensors");
  save_wav(in, {rand({1, 9}), 8000, WavSamples::PCM16});
  run_with_input(streamed.arguments({"--save-state", state}), "0.5\n");
  std::filesystem::create_symlink(in, folder.path("link.wav"));
  const std::vector<std::string> names = folder.names();
  const auto refuse = [&](const std::string& out, const Arguments& more, const std::string& part) {
    expect_fails(streamed.arguments({"--wav", in, folder.path(out)}) + more, {part});
    EXPECT_EQ(folder.names(), names);
  };
  for (const std::string out : {"in.wav", "link.wav", "model.safetensors"}) {
    const std::string before = folder.read(out);
    refuse(out, {}, "which the command reads");
    EXPECT_TRUE(folder.read(out) == before) << out;
  }
  refuse("state.safetensors", {"--load-state", state}, "which the command reads");
  refuse("out.wav", {"--save-state", streamed.checkpoint()}, "--save-state");
  refuse("out.wav", {"--save-state", folder.path("./out.wav")}, "got the file of --wav");
  refuse("none/out.wav", {}, "none/out.wav");
  refuse("out.wav", {"--save-state", folder.path("none/state")}, "none/state");
  expect_runs(streamed.arguments(
      {"--wav", in, folder.path("out.wav"), "--load-state", state, "--save-state", state}));
}

TEST(StreamCommand, WavFilesOfACentredModelGoOnInAnother) {
  Streamed streamed({.input_channels = 1}, {{"centred", true}});
  const TemporaryFolder& folder = streamed.folder();
  const std::string state = folder.path("state.safetensors");
  const Tensor samples = rand({2, 100});
  const auto run = [&](const Tensor& x, const Arguments& more) {
    const std::string in = folder.path("in.wav");
    const std::string out = folder.path("out.wav");
    save_wav(in, {x, 8000, WavSamples::Float32});
    const CommandResult result = run_program(streamed.arguments({"--wav", in, out}) + more);
    EXPECT_EQ(result.status, 0) << result.err;
    return load_wav(out).samples;
  };
  const Tensor wanted = run(samples, {});
  const Tensor first = run(slice(samples, 1, 0, 60), {"--save-state", state});
  const Tensor second = run(slice(samples, 1, 60), {"--load-state", state});
  EXPECT_LT(first.size(1), 60);
  EXPECT_EQ(concat({first, second}, 1).to_vector<float>(), wanted.to_vector<float>());
  save_wav(folder.path("in.wav"), {slice(samples, 1, 0, 3), 8000, WavSamples::Float32});
  expect_fails(streamed.arguments({"--wav", folder.path("in.wav"), folder.path("short.wav"),
                                   "--save-state", state}),
               {"in.wav: got 3 frames and --save-state", "looks ahead"});
  EXPECT_FALSE(std::filesystem::exists(folder.path("short.wav")));
}

TEST(StreamCommand, BeginsWithASteadyInput) {
  Streamed streamed({.input_channels = 1});
  const Tensor x = Tensor::full({1, 1, 40}, 0.75);
  const double settled = as_doubles(streamed.outputs(x)).back();
  const CommandResult result =
      run_with_input(streamed.arguments({"--steady", "0.75"}), "0.75\n0.75\n");
  const std::vector<double> got = numbers_in(result.out);
  ASSERT_EQ(got.size(), 2U) << result.err;
  EXPECT_NEAR(got[0], settled, 1e-5);
  EXPECT_NEAR(got[1], settled, 1e-5);
  expect_fails(streamed.arguments({"--steady", "1,2"}), {"--steady: got 2 numbers", "takes 1"});
}

TEST(StreamCommand, RunsWavFiles) {
  for (const bool centred : {false, true}) {
    // Of a model with one channel each channel of the file is a stream.
    Streamed mono({.input_channels = 1}, {{"centred", centred}});
    const Tensor samples = rand({2, 1000});
    const std::string in = mono.folder().path("in.wav");
    const std::string out = mono.folder().path("out.wav");
    save_wav(in, {samples, 8000, WavSamples::Float32});
    const CommandResult result = expect_runs(mono.arguments({"--wav", in, out, "--block", "96"}));
    EXPECT_NE(result.out.find("real-time factor"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("median"), std::string::npos) << result.out;
    const Wav got = load_wav(out);
    EXPECT_EQ(got.sample_rate, 8000);
    EXPECT_EQ(got.format, WavSamples::Float32);
    const Tensor wanted = mono.outputs(reshape(samples, {2, 1, 1000}));
    EXPECT_LE(relative_difference(as_doubles(got.samples), as_doubles(wanted)), 1e-5) << centred;
  }
  Streamed stereo({.input_channels = 2, .output_size = 3});
  const Tensor samples = rand({2, 100});
  const std::string in = stereo.folder().path("in.wav");
  const std::string out = stereo.folder().path("out.wav");
  save_wav(in, {samples, 8000, WavSamples::PCM24});
  expect_runs(stereo.arguments({"--wav", in, out}));
  const Wav got = load_wav(out);
  EXPECT_EQ(got.samples.shape(), Shape({3, 100}));
  EXPECT_EQ(got.format, WavSamples::PCM24);
  const Tensor wanted = transpose(stereo.outputs(reshape(load_wav(in).samples, {1, 2, 100})), 1, 2);
  EXPECT_LE(relative_difference(as_doubles(got.samples), as_doubles(wanted)), 1e-4);

  std::filesystem::remove(out);
  save_wav(in, {rand({1, 9}), 8000, WavSamples::PCM16});
  expect_fails(stereo.arguments({"--wav", in, out}), {"in.wav: got 1 channels", "takes 2"});
  std::string bytes = bytes_of_file(in);
  stereo.folder().write("cut.wav", bytes.substr(0, bytes.size() - 4));
  expect_fails(stereo.arguments({"--wav", stereo.folder().path("cut.wav"), out}),
               {"cut.wav", "claims 18 bytes, the file has 14"});
  EXPECT_FALSE(std::filesystem::exists(out)) << "nothing is half-written";
}

}  // namespace
}  // namespace warptape
