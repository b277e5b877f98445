// warptape stream

#include <algorithm>
#include <cstdio>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "tools/end_signals.h"
#include "tools/input_lines.h"
#include "tools/latencies.h"
#include "tools/numbers.h"
#include "tools/output_files.h"
#include "tools/stream_options.h"

namespace warptape::tools {
namespace {

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
void print_rows(const Tensor& outputs, RunningMeans* means, int64_t left_out = 0) {
  std::vector<double> values = outputs.to(cpu).to(float64).to_vector<double>();
  if (means != nullptr) {
    means->add(values, left_out);
  }
  const int64_t columns = outputs.size(2);
  const int digits = outputs.dtype() == float64 ? std::numeric_limits<double>::max_digits10
                                                : std::numeric_limits<float>::max_digits10;
  std::string text;
  for (auto i = static_cast<size_t>(left_out * columns); i < values.size(); ++i) {
    const bool ends = static_cast<int64_t>(i + 1) % columns == 0;
    text += fmt::format("{:.{}g}{}", values[i], digits, ends ? '\n' : ' ');
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace

int stream_lines(const StreamOptions& options) {
  const StreamedModel model = load_streamed_model(options);
  const SequenceStream stream(*model.loaded.module, {.batch = 1, .block = 1});
  std::optional<RunningMeans> pooled;
  if (model.loaded.is_mean_of_steps()) {
    pooled.emplace(1, stream.out_channels());
  }
  RunningMeans* const means = pooled ? &*pooled : nullptr;
  StreamProgress progress = begin_stream(options, model, stream, means);
  const int64_t channels = stream.in_channels();
  std::vector<double> numbers(static_cast<size_t>(channels));
  Tensor host = Tensor::empty({1, channels, 1}, float64);
  Tensor y = Tensor::empty(stream.output_shape(1), stream.dtype(), stream.device());
  Latencies latencies;
  int64_t steps = 0;
  int64_t refused = 0;
  InputLines lines;
  std::string line;
  end_in_order();
  for (int64_t number = 1; lines.next(line); ++number) {
    const bool are_numbers = read_line(line, numbers);
    if (!are_numbers || !fit(numbers, model.loaded.input, stream.dtype())) {
      ++refused;
      fmt::print(stderr,
                 "warptape: [stream] line {}: got \"{}\", wanted {} number{}{}; the state stays\n",
                 number, excerpt(line), channels, channels == 1 ? "" : "s",
                 are_numbers ? " of at most " + room(model.loaded.input, stream.dtype()) : "");
      continue;
    }
    latencies.time([&] {
      std::copy(numbers.begin(), numbers.end(), host.mutable_data<double>());
      const Tensor x = model_input(host, model.loaded.input, stream.dtype());
      stream.step(progress.state, x.to(stream.device()), y);
      ++steps;
      if (progress.silent == 0) {
        print_rows(y, means);
      } else {
        --progress.silent;
      }
    });
    std::fflush(stdout);
  }
  save_stream(options, stream, progress, means);
  if (stream.delay() > 0 && options.save_state.empty()) {
    // What a centred model still owes: as many lines as it was silent at first.
    print_rows(stream.finish(progress.state), means, progress.silent);
  }
  if (!options.quiet) {
    fmt::print(stderr, "{} steps on {}, {} lines refused; a step: {}\n", steps,
               describe_device(model.device), refused, latencies.summary());
  }
  return end_signal() != 0 ? 128 + end_signal() : refused == 0 ? 0 : 1;
}

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
                   "last outputs for the stream that goes on")
      ->check(not_empty());
  add_number_with_default(*command, "--block", options->block, whole_number(1, 4096),
                          "Frames of a WAV file that go through the model at once")
      ->needs(wav);
  command->add_flag("--quiet", options->quiet, "No summary of the times")->excludes(wav);
  add_machine_options(*command, options->machine);
  command->footer(
      "A step is a line of standard input: a number for each channel, with spaces or commas "
      "between\n"
      "them. What train tcn --task series or sequence makes of numbers is done here, too, and a "
      "model\n"
      "that answers with the mean over steps gives that of the steps so far.\n"
      "A line that is none is named on standard error and changes nothing; the exit status "
      "is\n"
      "1 then. Examples:\n"
      "  printf '0.5\\n0.25\\n' | warptape stream --checkpoint runs/a/best.safetensors\n"
      "  warptape stream --checkpoint amp.safetensors --wav dry.wav wet.wav");
  command->callback([options] {
    const auto wav_path = [&](size_t i) {
      return options->wav.empty() ? std::string() : options->wav[i];
    };
    // --save-state may go on with the file of --load-state.
    check_outputs({{"--wav", wav_path(1)}}, {options->checkpoint, wav_path(0), options->load_state},
                  "stream");
    check_outputs({{"--wav", wav_path(1)}, {"--save-state", options->save_state}},
                  {options->checkpoint, wav_path(0)}, "stream");
    const int status = options->wav.empty() ? stream_lines(*options) : stream_wav(*options);
    if (status != 0) {
      throw CLI::RuntimeError(status);
    }
  });
}

}  // namespace warptape::tools
