// warptape stream --wav

#include <algorithm>

#include <fmt/format.h>

#include "core/check.h"
#include "kernels/reshape/reshape.h"
#include "kernels/slice/slice.h"
#include "tools/end_signals.h"
#include "tools/latencies.h"
#include "tools/stream_options.h"
#include "training/wav.h"

namespace warptape::tools {
namespace {

// What a task's model says of its input is no sound.
void check_is_of_sound(const StreamOptions& options, const LoadedSequenceModel& model) {
  check<ValueError>(!model.series && !model.pixels,
                    "[stream] --wav: got a checkpoint of {} in {}, wanted one whose outputs are "
                    "samples",
                    model.task(), escaped(options.checkpoint));
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

}  // namespace

int stream_wav(const StreamOptions& options) {
  const StreamedModel model = load_streamed_model(options);
  check_is_of_sound(options, model.loaded);
  Wav wav = load_wav(options.wav[0]);
  const int64_t channels = wav.samples.size(0);
  const int64_t frames = wav.samples.size(1);
  const bool is_mono = model.loaded.general.input_channels == 1;
  check<ValueError>(is_mono || model.loaded.general.input_channels == channels,
                    "[stream] {}: got {} channels, the checkpoint {} takes {}",
                    escaped(options.wav[0]), channels, escaped(options.checkpoint),
                    model.loaded.general.input_channels);
  const int64_t streams = is_mono ? channels : 1;
  const SequenceStream stream(*model.loaded.module, {.batch = streams, .block = options.block});
  StreamProgress progress = begin_stream(options, model, stream, nullptr);
  // As for lines: the file that goes on with a saved state has what this one still owes.
  int64_t silent = progress.silent;
  progress.silent = std::max<int64_t>(0, silent - frames);
  const int64_t owed = options.save_state.empty() ? stream.delay() - progress.silent : int64_t{0};
  const int64_t written = frames - std::min(silent, frames) + owed;
  check<ValueError>(written > 0,
                    "[stream] {}: got {} frames and --save-state, wanted more than the {} that the "
                    "model looks ahead",
                    escaped(options.wav[0]), frames, silent);
  WavOutput output(streams, stream.out_channels(), written);
  Latencies latencies;
  end_in_order();
  for (int64_t begin = 0; begin < frames; begin += options.block) {
    const int64_t steps = std::min(options.block, frames - begin);
    const Tensor x =
        reshape(slice(wav.samples, 1, begin, begin + steps), {streams, stream.in_channels(), steps})
            .to(stream.dtype())
            .to(stream.device());
    Tensor y = Tensor::empty(stream.output_shape(steps), stream.dtype(), stream.device());
    latencies.time([&] {
      stream.step(progress.state, x, y);
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
  if (owed > 0) {
    output.add(stream.finish(progress.state), progress.silent);
  }
  wav.samples = output.samples();
  const int64_t clipped = save_wav(options.wav[1], wav);
  save_stream(options, stream, progress, nullptr);
  const auto rate = static_cast<double>(wav.sample_rate);
  fmt::print("{}: {} frames of {} channel{} at {} Hz, {:.3f} s\n", escaped(options.wav[1]), written,
             wav.samples.size(0), wav.samples.size(0) == 1 ? "" : "s", wav.sample_rate,
             static_cast<double>(written) / rate);
  fmt::print("real-time factor {:.4f} on {}; a block of {} ({:.2f} ms of sound): {}\n",
             latencies.seconds() * rate / static_cast<double>(frames),
             describe_device(model.device), options.block,
             1e3 * static_cast<double>(options.block) / rate, latencies.summary());
  if (stream.delay() > 0) {
    fmt::print("the model looks {} frames ahead, by which a live output would be late\n",
               stream.delay());
  }
  if (clipped > 0) {
    fmt::print(stderr, "warning: {} samples were beyond the format and are clipped\n", clipped);
  }
  return 0;
}

}  // namespace warptape::tools
