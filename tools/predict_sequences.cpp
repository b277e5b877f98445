// warptape predict, of models of sequences

#include <algorithm>

#include <fmt/format.h>

#include "core/check.h"
#include "core/primitives.h"
#include "kernels/argmax/argmax.h"
#include "kernels/mean/mean.h"
#include "layers/precision.h"
#include "tools/predict_options.h"
#include "tools/sequence_model.h"
#include "training/file.h"
#include "training/npy.h"
#include "training/tasks/series.h"

namespace warptape::tools {
namespace {

LoadedSequenceModel load_model(const PredictOptions& options, bool every_step, Device device) {
  LoadedSequenceModel loaded = load_sequence_model(
      options.checkpoint, {.who = "predict", .model = options.model, .every_step = every_step});
  check_precision(options, loaded.general.dtype);
  loaded.module->to(device);
  if (options.precision == "bf16") {
    set_precision(*loaded.module, bfloat16);
  }
  return loaded;
}

// (N, C, L), or (N, L) of a model that takes indices.
Tensor load_input(const PredictOptions& options, const LoadedSequenceModel& model) {
  const SequenceModelOptions& general = model.general;
  if (!general.indices) {
    Tensor input = load_array(options.input, 3, "(N, C, L)");
    check<ValueError>(input.size(1) == general.input_channels,
                      "[predict] {}: got {} channels in shape {}, the checkpoint {} takes {}",
                      escaped(options.input), input.size(1), input.shape(),
                      escaped(options.checkpoint), general.input_channels);
    check<ValueError>(input.size(2) >= 1, "[predict] {}: got shape {}, wanted 1 step or more",
                      escaped(options.input), input.shape());
    check<ValueError>(
        model.input.order_seed == 0 || input.size(2) == model.input.order_steps,
        "[predict] {}: got {} steps in shape {}, the checkpoint {} takes images of {} "
        "pixels, in an order of its own",
        escaped(options.input), input.size(2), input.shape(), escaped(options.checkpoint),
        model.input.order_steps);
    return model_input(input, model.input, general.dtype);
  }
  Tensor input = load_npy(options.input);
  check<ValueError>(input.rank() == 2 && input.dtype() == int64,
                    "[predict] {}: got shape {} of {}, wanted indices (N, L) of int64",
                    escaped(options.input), input.shape(), to_string(input.dtype()));
  check<ValueError>(input.size(1) >= 1, "[predict] {}: got shape {}, wanted 1 step or more",
                    escaped(options.input), input.shape());
  const std::vector<int64_t> indices = input.to_vector<int64_t>();
  const int64_t most = general.indices->vocabulary - 1;
  for (size_t i = 0; i < indices.size(); ++i) {
    const auto steps = static_cast<size_t>(input.size(1));
    check<ValueError>(indices[i] >= 0 && indices[i] <= most,
                      "[predict] {}: sequence {}, step {}: got {}, wanted 0 to {}",
                      escaped(options.input), i / steps, i % steps, indices[i], most);
  }
  return input;
}

// Sequences that go through the model at once: so many steps at most, where one has fewer.
constexpr int64_t steps_at_once = int64_t{1} << 18;

// The model's outputs for these inputs, on the CPU.
Tensor outputs_of(const LoadedSequenceModel& model, const Tensor& input, Device device) {
  const SequenceModelOptions& general = model.general;
  const int64_t count = input.size(0);
  const int64_t length = input.size(input.rank() - 1);
  const Shape shape = general.every_step ? Shape{count, length, general.output_size}
                                         : Shape{count, general.output_size};
  Tensor output = Tensor::empty(shape, general.dtype);
  const int64_t batch = std::max<int64_t>(1, steps_at_once / std::max<int64_t>(1, length));
  for (int64_t begin = 0; begin < count; begin += batch) {
    const int64_t end = std::min(count, begin + batch);
    Tensor part = output.slice(begin, end);
    const Tensor rows = input.slice(begin, end).to(device);
    primitives::copy(in_float32((*model.module)(rows)).to(cpu), part);
  }
  return output;
}

// Classes of the series in a .ts file.
void predict_series(const PredictOptions& options, Device device) {
  check<ValueError>(!options.every_step,
                    "[predict] --every-step: got --data, whose series have one answer each; wanted "
                    "--input");
  const LoadedSequenceModel model = load_model(options, true, device);
  const std::optional<SeriesMetadata>& metadata = model.series;
  check<ValueError>(metadata.has_value(),
                    "[predict] --data: got a checkpoint of no series in {}, wanted --input for it",
                    escaped(options.checkpoint));
  const SequenceModelOptions& general = model.general;
  const TsFile file = load_ts(options.data, missing_values(metadata->missing));
  check<ValueError>(file.channels == general.input_channels,
                    "[predict] {}: got series of {} channels, the checkpoint {} takes {}",
                    escaped(options.data), file.channels, escaped(options.checkpoint),
                    general.input_channels);
  const std::vector<int64_t> labels = labels_of(file, options.data, metadata->classes);
  const Tensor logits = pooled(
      outputs_of(model, padded_series(file, *metadata, general.dtype), device), file, *metadata);
  const std::vector<int64_t> predicted = argmax(logits, 1).to_vector<int64_t>();
  std::string names;
  int64_t right = 0;
  for (size_t i = 0; i < predicted.size(); ++i) {
    right += predicted[i] == labels[i] ? 1 : 0;
    names += metadata->classes[static_cast<size_t>(predicted[i])] + "\n";
  }
  fmt::print("{}: {} series, accuracy {:.2f} %\n", escaped(options.data), predicted.size(),
             100 * static_cast<double>(right) / static_cast<double>(predicted.size()));
  if (!options.output.empty()) {
    save_array(options.output, logits, "logits");
  }
  if (!options.names.empty()) {
    write_file_atomically(options.names, names, "predict");
    fmt::print("{}: {} names\n", escaped(options.names), predicted.size());
  }
}

}  // namespace

void predict_sequences(const PredictOptions& options, Device device) {
  if (!options.data.empty()) {
    predict_series(options, device);
    return;
  }
  const LoadedSequenceModel model = load_model(options, options.every_step, device);
  const Tensor input = load_input(options, model);
  Tensor output = outputs_of(model, input, device);
  if (model.is_mean_of_steps() && !options.every_step) {
    output = mean(output, {1});
  }
  fmt::print("{}\n", to_string(*model.module));
  if (!model.task().empty()) {
    fmt::print("of {}\n", model.task());
  }
  save_array(options.output, output, "outputs");
}

}  // namespace warptape::tools
