// warptape stream

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>

#include <fmt/format.h>

#include "core/check.h"
#include "core/primitives.h"
#include "kernels/reshape/reshape.h"
#include "kernels/slice/slice.h"
#include "models/sequence_stream.h"
#include "models/tcn.h"
#include "tools/commands.h"
#include "tools/end_signals.h"
#include "tools/numbers.h"
#include "training/sequence_checkpoint.h"
#include "training/wav.h"

namespace warptape::tools {
namespace {

using Clock = std::chrono::steady_clock;

struct StreamOptions {
  std::string checkpoint;
  std::vector<std::string> wav;  // none, or input and output
  std::vector<double> steady;
  std::string load_state;
  std::string save_state;
  int64_t block = 64;
  bool quiet = false;
  MachineOptions machine;
};

// Microseconds of the calls so far, however many: counted by size, in steps of 2 %.
class Latencies {
 public:
  template <class Call>
  void time(const Call& call) {
    const Clock::time_point begin = Clock::now();
    call();
    const double time = std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
    total_ += time;
    longest_ = std::max(longest_, time);
    ++count_;
    const double step = std::log(std::max(time, least) / least) / std::log(ratio);
    ++counts_[std::min(counts_.size() - 1, static_cast<size_t>(step))];
  }
  double seconds() const { return total_ / 1e6; }
  // "median 12.1 us, 99 % below 14.0, longest 80.2"
  std::string summary() const {
    return count_ == 0 ? "none"
                       : fmt::format("median {:.1f} us, 99 % below {:.1f}, longest {:.1f}",
                                     below(count_ / 2), below(count_ * 99 / 100), longest_);
  }

 private:
  // What more than so many calls stayed below.
  double below(int64_t calls) const {
    int64_t seen = 0;
    size_t step = 0;
    while (step + 1 < counts_.size() && (seen += counts_[step]) <= calls) {
      ++step;
    }
    return std::min(longest_, least * std::pow(ratio, static_cast<double>(step + 1)));
  }

  static constexpr double least = 0.1;
  static constexpr double ratio = 1.02;
  std::array<int64_t, 1100> counts_ = {};  // to more than 100 s
  double total_ = 0;
  double longest_ = 0;
  int64_t count_ = 0;
};

struct StreamedModel {
  std::unique_ptr<Module> module;
  SequenceModelOptions general;
  Device device = cpu;
};

StreamedModel load_model(const StreamOptions& options) {
  StreamedModel loaded;
  loaded.device = apply(options.machine);
  const NamedTensors checkpoint = load_safetensors(options.checkpoint);
  const ToldSequenceModel told = told_by(checkpoint, options.checkpoint, "tcn");
  check<ValueError>(!told.general.indices,
                    "[stream] --checkpoint {}: takes indices of characters, wanted a model of "
                    "numbers; warptape sample goes on with a text",
                    escaped(options.checkpoint));
  loaded.general = told.general;
  loaded.module = sequence_models().find("tcn").make(told.general, told.own);
  load_checkpoint(options.checkpoint, without_duplicates(checkpoint.tensors), *loaded.module);
  loaded.module->to(loaded.device);
  loaded.module->eval();
  return loaded;
}

StreamState begin_state(const StreamOptions& options, const SequenceStream& stream) {
  StreamState state = stream.zeros();
  if (!options.steady.empty()) {
    const auto count = static_cast<int64_t>(options.steady.size());
    check<ValueError>(count == stream.in_channels(),
                      "[stream] --steady: got {} numbers, the model takes {} channels", count,
                      stream.in_channels());
    const Tensor one = tensor<double>(options.steady, {1, count}).to(stream.dtype());
    Tensor all = Tensor::empty({stream.batch(), count}, stream.dtype());
    for (int64_t i = 0; i < stream.batch(); ++i) {
      Tensor row = all.slice(i, i + 1);
      primitives::copy(one, row);
    }
    stream.settle(state, all.to(stream.device()));
  }
  if (!options.load_state.empty()) {
    try {
      stream.load_state_dict(state, load_safetensors(options.load_state).tensors);
    } catch (const ValueError& error) {
      throw ValueError(escaped(options.load_state) + ": " + error.what());
    }
  }
  return state;
}

void save_state(const StreamOptions& options, const SequenceStream& stream,
                const StreamState& state) {
  if (!options.save_state.empty()) {
    save_safetensors(options.save_state, stream.state_dict(state));
  }
}

// The numbers of a line, with spaces, tabs or commas between them; none where it is not that many.
bool read_line(std::string_view line, std::vector<double>& numbers) {
  size_t count = 0;
  for (size_t begin = 0; begin < line.size();) {
    const size_t end = std::min(line.find_first_of(" \t,", begin), line.size());
    if (end > begin) {
      const auto number = parse_number<double>(line.substr(begin, end - begin));
      if (!number || count == numbers.size()) {
        return false;
      }
      numbers[count++] = *number;
    }
    begin = end + 1;
  }
  return count == numbers.size();
}

// The outputs (1, steps, size), a line each, but for the first ones.
void print_rows(const Tensor& outputs, int64_t left_out = 0) {
  const std::vector<double> values = outputs.to(cpu).to(float64).to_vector<double>();
  const int64_t columns = outputs.size(2);
  std::string text;
  for (auto i = static_cast<size_t>(left_out * columns); i < values.size(); ++i) {
    const bool ends = static_cast<int64_t>(i + 1) % columns == 0;
    text += fmt::format("{:.9g}{}", values[i], ends ? '\n' : ' ');
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
}

// Answers every line of standard input; the exit status.
int stream_lines(const StreamOptions& options) {
  const StreamedModel model = load_model(options);
  const SequenceStream stream(*model.module, {.batch = 1, .block = 1});
  StreamState state = begin_state(options, stream);
  const int64_t channels = stream.in_channels();
  std::vector<double> numbers(static_cast<size_t>(channels));
  Tensor host = Tensor::empty({1, channels, 1}, float64);
  Tensor y = Tensor::empty(stream.output_shape(1), stream.dtype(), stream.device());
  Latencies latencies;
  int64_t steps = 0;
  int64_t refused = 0;
  std::string line;
  for (int64_t number = 1; end_signal() == 0 && std::getline(std::cin, line); ++number) {
    if (line.ends_with('\r')) {
      line.pop_back();
    }
    if (!read_line(line, numbers)) {
      ++refused;
      fmt::print(stderr,
                 "warptape: [stream] line {}: got \"{}\", wanted {} number{}; the state stays\n",
                 number, excerpt(line), channels, channels == 1 ? "" : "s");
      continue;
    }
    latencies.time([&] {
      std::copy(numbers.begin(), numbers.end(), host.mutable_data<double>());
      stream.step(state, host.to(stream.dtype()).to(stream.device()), y);
      if (++steps > stream.delay()) {
        print_rows(y);
      }
    });
    std::fflush(stdout);
  }
  save_state(options, stream, state);
  if (stream.delay() > 0 && steps > 0 && options.save_state.empty()) {
    // What a centred model still owes: as many lines as it was silent at first.
    print_rows(stream.finish(state), stream.delay() - std::min(steps, stream.delay()));
  }
  if (!options.quiet) {
    fmt::print(stderr, "{} steps on {}, {} lines refused; a step: {}\n", steps,
               describe_device(model.device), refused, latencies.summary());
  }
  return refused == 0 ? 0 : 1;
}

// Outputs (batch, steps, size) of a block, behind those that came before.
class WavOutput {
 public:
  // Of a model with one output each channel of the file is a stream; else each output is a channel.
  WavOutput(int64_t streams, int64_t outputs, int64_t frames)
      : samples_(Tensor::empty({streams * outputs, frames}, float32)), outputs_(outputs) {}

  // All but the first `left_out` steps.
  void add(const Tensor& y, int64_t left_out) {
    const std::vector<double> values = y.to(cpu).to(float64).to_vector<double>();
    const int64_t steps = y.size(1);
    float* const to = samples_.mutable_data<float>();
    const int64_t frames = samples_.size(1);
    for (int64_t row = 0; row < samples_.size(0); ++row) {
      for (int64_t t = left_out; t < steps; ++t) {
        const int64_t stream = row / outputs_;
        const int64_t from = (stream * steps + t) * outputs_ + row % outputs_;
        to[row * frames + written_ + t - left_out] =
            static_cast<float>(values[static_cast<size_t>(from)]);
      }
    }
    written_ += std::max<int64_t>(0, steps - left_out);
  }
  const Tensor& samples() const { return samples_; }

 private:
  Tensor samples_;
  int64_t outputs_;
  int64_t written_ = 0;
};

int stream_wav(const StreamOptions& options) {
  const StreamedModel model = load_model(options);
  Wav wav = load_wav(options.wav[0]);
  const int64_t channels = wav.samples.size(0);
  const int64_t frames = wav.samples.size(1);
  const bool is_mono = model.general.input_channels == 1;
  check<ValueError>(is_mono || model.general.input_channels == channels,
                    "[stream] {}: got {} channels, the checkpoint {} takes {}",
                    escaped(options.wav[0]), channels, escaped(options.checkpoint),
                    model.general.input_channels);
  const int64_t streams = is_mono ? channels : 1;
  const SequenceStream stream(*model.module, {.batch = streams, .block = options.block});
  StreamState state = begin_state(options, stream);
  WavOutput output(streams, stream.out_channels(), frames);
  Latencies latencies;
  int64_t silent = stream.delay();
  for (int64_t begin = 0; begin < frames; begin += options.block) {
    const int64_t steps = std::min(options.block, frames - begin);
    const Tensor x =
        reshape(slice(wav.samples, 1, begin, begin + steps), {streams, stream.in_channels(), steps})
            .to(stream.dtype())
            .to(stream.device());
    Tensor y = Tensor::empty(stream.output_shape(steps), stream.dtype(), stream.device());
    latencies.time([&] {
      stream.step(state, x, y);
      y = y.to(cpu);  // waits for it
    });
    const int64_t left_out = std::min(silent, steps);
    output.add(y, left_out);
    silent -= left_out;
    check<Error>(end_signal() == 0,
                 "[stream] ended by a signal after {} of {} frames; {} was not "
                 "written",
                 begin + steps, frames, escaped(options.wav[1]));
  }
  save_state(options, stream, state);
  if (stream.delay() > 0) {
    output.add(stream.finish(state), silent);
  }
  wav.samples = output.samples();
  const int64_t clipped = save_wav(options.wav[1], wav);
  const double seconds = static_cast<double>(frames) / static_cast<double>(wav.sample_rate);
  fmt::print("{}: {} frames of {} channel{} at {} Hz, {:.3f} s\n", escaped(options.wav[1]), frames,
             wav.samples.size(0), wav.samples.size(0) == 1 ? "" : "s", wav.sample_rate, seconds);
  fmt::print("real-time factor {:.4f} on {}; a block of {} ({:.2f} ms of sound): {}\n",
             latencies.seconds() / seconds, describe_device(model.device), options.block,
             1e3 * static_cast<double>(options.block) / static_cast<double>(wav.sample_rate),
             latencies.summary());
  if (stream.delay() > 0) {
    fmt::print("the model looks {} frames ahead, by which a live output would be late\n",
               stream.delay());
  }
  if (clipped > 0) {
    fmt::print(stderr, "warning: {} samples were beyond the format and are clipped\n", clipped);
  }
  return 0;
}

}  // namespace

void add_stream_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "stream", "Run a TCN step by step: a line of numbers in, a line out; or a WAV file");
  auto options = std::make_shared<StreamOptions>();
  command->add_option("--checkpoint", options->checkpoint, "A safetensors file of a TCN")
      ->required()
      ->check(not_empty());
  CLI::Option* wav =
      command->add_option("--wav", options->wav, "WAV files, 16- or 24-bit or float: IN OUT")
          ->expected(2)
          ->check(not_empty());
  add_number(*command, "--steady", options->steady,
             NumberRule<double>{"a finite number", [](double) { return true; }},
             "What came before the first step, for ever: a number for each channel of the input, "
             "with commas between them [zeros]");
  CLI::Option* load =
      command->add_option("--load-state", options->load_state, "Go on from a file of --save-state")
          ->check(not_empty());
  load->excludes(command->get_option("--steady"));
  command
      ->add_option("--save-state", options->save_state,
                   "Write what the stream remembers at its end; a centred model then keeps its "
                   "last outputs for who goes on")
      ->check(not_empty());
  add_number_with_default(*command, "--block", options->block, whole_number(1, 4096),
                          "Frames of a WAV file that go through the model at once")
      ->needs(wav);
  command->add_flag("--quiet", options->quiet, "No summary of the times")->excludes(wav);
  add_machine_options(*command, options->machine);
  command->footer(
      "A step is a line of standard input: a number for each channel, with spaces or commas "
      "between\n"
      "them. A line that is none is named on standard error and changes nothing; the exit status "
      "is\n"
      "1 then. Examples:\n"
      "  printf '0.5\\n0.25\\n' | warptape stream --checkpoint runs/a/best.safetensors\n"
      "  warptape stream --checkpoint amp.safetensors --wav dry.wav wet.wav");
  command->callback([options] {
    const int status = options->wav.empty() ? stream_lines(*options) : stream_wav(*options);
    if (status != 0) {
      throw CLI::RuntimeError(status);
    }
  });
}

}  // namespace warptape::tools
