// warptape stream: lines of numbers, and WAV files.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "core/random.h"
#include "kernels/reshape/reshape.h"
#include "kernels/slice/slice.h"
#include "kernels/transpose/transpose.h"
#include "models/tcn.h"
#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"
#include "training/recipe.h"
#include "training/safetensors.h"
#include "training/sequence_checkpoint.h"
#include "training/wav.h"

namespace warptape {
namespace {

// A TCN and its checkpoint.
class Streamed {
 public:
  explicit Streamed(SequenceModelOptions general, OptionValues own = {}) {
    general.every_step = true;
    own["channels"] = std::vector<int64_t>{4, 3};
    own["kernel_size"] = std::vector<int64_t>{3};
    own = sequence_models().complete({"tcn", own});
    manual_seed(5);
    model_ = sequence_models().find("tcn").make(general, own);
    model_->eval();
    save_safetensors(checkpoint(), state_dict(*model_), sequence_metadata({"tcn", own}, general));
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
