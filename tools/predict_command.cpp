// warptape predict MODEL

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include <fmt/format.h>

#include "core/check.h"
#include "core/primitives.h"
#include "layers/precision.h"
#include "models/image_models.h"
#include "tools/output_files.h"
#include "tools/predict_options.h"
#include "training/data_on_device.h"
#include "training/file.h"
#include "training/image_loader.h"
#include "training/npy.h"
#include "training/recipe.h"
#include "training/safetensors.h"
#include "training/trainer.h"

namespace warptape::tools {
namespace {

constexpr int64_t batch_size = 256;

struct LoadedModel {
  std::unique_ptr<Module> module;
  ImageModelOptions options;
  int64_t largest_image = 0;  // options.image_size at most, by the checkpoint
  int64_t smallest_image = 0;
};

// The model of a checkpoint for images of these channels, height and width.
LoadedModel load_model(const PredictOptions& predict, int64_t channels, int64_t height,
                       int64_t width, Device device) {
  const std::string& path = predict.checkpoint;
  const NamedTensors checkpoint = load_safetensors(path);
  const ImageModel& model = find_image_model(predict.model);
  const ImageModelTold told = model.told_by(checkpoint.tensors);
  LoadedModel loaded;
  ImageModelOptions& options = loaded.options;
  options.input_channels = told.input_channels.value_or(channels);
  options.num_classes = told.num_classes.value_or(options.num_classes);
  options.image_size = told.image_size.value_or(height);
  options.dtype = told.dtype.value_or(options.dtype);
  options.weight_norm = told.weight_norm;
  loaded.smallest_image = options.image_size;
  loaded.largest_image = options.image_size + told.image_size_step - 1;
  // The checkpoint's shapes may leave the image size open: the images tell.
  if (height == width && height >= loaded.smallest_image && height <= loaded.largest_image) {
    options.image_size = height;
  }
  check_precision(predict, options.dtype);
  loaded.module = model.make(options);
  load_checkpoint(path, checkpoint.tensors, *loaded.module);
  loaded.module->to(device);
  if (predict.precision == "bf16") {
    set_precision(*loaded.module, bfloat16);
  }
  loaded.module->eval();
  return loaded;
}

void check_images(const PredictOptions& options, const std::string& source, const Shape& images,
                  const LoadedModel& model) {
  const ImageModelOptions& fitted = model.options;
  const Shape wanted{images[0], fitted.input_channels, fitted.image_size, fitted.image_size};
  check<ValueError>(images == wanted,
                    "[predict] {}: got images {}, the checkpoint {} takes (N, {}, S, S), S from {} "
                    "to {}",
                    escaped(source), images, escaped(options.checkpoint), fitted.input_channels,
                    model.smallest_image, model.largest_image);
}

void predict_array(const PredictOptions& options, Device device) {
  const Tensor images = load_array(options.input, 4, "(N, C, H, W)");
  const LoadedModel model =
      load_model(options, images.size(1), images.size(2), images.size(3), device);
  const ImageModelOptions& fitted = model.options;
  check_images(options, options.input, images.shape(), model);
  const int64_t count = images.size(0);
  Tensor logits = Tensor::empty({count, fitted.num_classes}, fitted.dtype);
  for (int64_t begin = 0; begin < count; begin += batch_size) {
    const int64_t end = std::min(count, begin + batch_size);
    Tensor part = logits.slice(begin, end);
    const Tensor batch = images.slice(begin, end).to(device);
    primitives::copy(in_float32((*model.module)(primitives::cast(batch, fitted.dtype))).to(cpu),
                     part);
  }
  save_array(options.output, logits, "logits");
}

// Where the training run wrote down what it did.
std::string config_path(const PredictOptions& options) {
  return (std::filesystem::path(options.checkpoint).parent_path() / "config.json").string();
}

// What it wrote about its images.
ImageTransform run_transform(const std::string& path) {
  const std::string shown = escaped(path);
  const std::string text = read_file(path, 1 << 20, "predict");
  ImageTransform transform;
  try {
    const nlohmann::json config = nlohmann::json::parse(text);
    check<FileError>(config.at("image_size").is_number_integer(),
                     "image_size is not a whole number");
    config.at("image_size").get_to(transform.image_size);
    config.at("mean").get_to(transform.mean);
    config.at("std").get_to(transform.std);
  } catch (const std::exception& error) {
    throw FileError(
        fmt::format("[predict] {}: wanted image_size, mean and std of the training run: {}", shown,
                    excerpt(error.what())));
  }
  check<FileError>(transform.image_size >= 4 && transform.image_size <= 4096,
                   "[predict] {}: image_size: got {}, wanted 4 to 4096", shown,
                   transform.image_size);
  check<FileError>(
      std::all_of(transform.std.begin(), transform.std.end(), [](double v) { return v > 0; }),
      "[predict] {}: std: wanted numbers above 0", shown);
  return transform;
}

void check_channels(const std::string& path, const ImageTransform& transform, int64_t channels) {
  const auto count = static_cast<size_t>(channels);
  check<FileError>(transform.mean.size() == count && transform.std.size() == count,
                   "[predict] {}: mean and std: got {} and {} numbers, wanted {} (one per channel)",
                   escaped(path), transform.mean.size(), transform.std.size(), count);
}

void predict_folder(const PredictOptions& options, Device device) {
  const std::string config = config_path(options);
  ImageTransform transform = run_transform(config);
  const LoadedModel model = load_model(options, static_cast<int64_t>(transform.mean.size()),
                                       transform.image_size, transform.image_size, device);
  const ImageModelOptions& fitted = model.options;
  check_channels(config, transform, fitted.input_channels);
  const ImageData data = load_image_data(options.data, fitted.num_classes);
  const int64_t count = data.test.labels.numel();
  check_images(options, options.data,
               {count, data.test.images.size(1), transform.image_size, transform.image_size},
               model);
  transform.dtype = fitted.dtype;
  std::vector<int64_t> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), int64_t{0});
  const bool fits = fits_on_device(device, data.test.images.bytes());
  ImageLoader loader(fits ? to(data.test, device) : data.test, all, transform,
                     {.batch_size = batch_size, .device = device});
  const Evaluation result = evaluate_classifier(*model.module, loader);
  fmt::print("{}: {} test images, accuracy {:.2f} %, loss {:.4f}\n", escaped(options.data), count,
             100 * result.metric.value(), result.loss);
  if (!options.output.empty()) {
    Tensor logits = Tensor::empty({count, fitted.num_classes}, fitted.dtype);
    int64_t begin = 0;
    loader.start(0);
    while (const auto batch = loader.next()) {
      const int64_t end = begin + batch->labels.numel();
      Tensor part = logits.slice(begin, end);
      primitives::copy(in_float32((*model.module)(batch->images)).to(cpu), part);
      begin = end;
    }
    save_array(options.output, logits, "logits");
  }
}

// The files that the command reads.
std::vector<std::string> inputs_of(const PredictOptions& options) {
  if (options.data.empty()) {
    return {options.checkpoint, options.input};
  }
  if (!is_image_model(options.model)) {
    return {options.checkpoint, options.data};
  }
  std::vector<std::string> files = image_data_files(options.data);
  files.push_back(options.checkpoint);
  files.push_back(config_path(options));
  return files;
}

void predict(const PredictOptions& options) {
  const bool takes_images = is_image_model(options.model);
  check<ValueError>(!takes_images || options.names.empty(),
                    "[predict] --names: got the model {}, wanted one of series", options.model);
  check<ValueError>(!takes_images || !options.every_step,
                    "[predict] --every-step: got the model {}, wanted one of sequences",
                    options.model);
  if (!options.output.empty() || !options.names.empty()) {
    check_outputs({{"--output", options.output}, {"--names", options.names}}, inputs_of(options),
                  "predict");
  }
  const Device device = apply(options.machine);
  if (!is_image_model(options.model)) {
    predict_sequences(options, device);
  } else if (options.data.empty()) {
    predict_array(options, device);
  } else {
    predict_folder(options, device);
  }
}

}  // namespace

void check_precision(const PredictOptions& options, DType dtype) {
  const std::string path = escaped(options.checkpoint);
  check<ValueError>(!options.machine.tf32 || dtype == float32,
                    "[predict] {}: got a {} checkpoint in {}, wanted float32",
                    options.machine.tf32_option, to_string(dtype), path);
  check<ValueError>(options.precision == "float32" || dtype == float32,
                    "[predict] --precision {}: got a {} checkpoint in {}, wanted float32",
                    options.precision, to_string(dtype), path);
  check<ValueError>(!options.machine.tf32 || options.precision == "float32",
                    "[predict] --tf32: got --precision {}, wanted float32", options.precision);
}

Tensor load_array(const std::string& path, int rank, const char* shape) {
  Tensor array = load_npy(path);
  check<ValueError>(array.rank() == rank, "[predict] {}: got shape {}, wanted {}", escaped(path),
                    array.shape(), shape);
  check<ValueError>(is_floating(array.dtype()),
                    "[predict] {}: got {}, wanted normalised float32 (or float64)", escaped(path),
                    to_string(array.dtype()));
  return array;
}

void save_array(const std::string& path, const Tensor& array, const char* what) {
  save_npy(path, array);
  fmt::print("{}: {} {}, {}\n", escaped(path), what, array.shape(), to_string(array.dtype()));
}

void add_predict_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "predict", "Outputs of a trained model for an array of images or sequences");
  auto options = std::make_shared<PredictOptions>();
  add_model_option(*command, options->model, models().names())->required();
  command->add_option("--checkpoint", options->checkpoint, "A safetensors file")
      ->required()
      ->check(not_empty());
  CLI::Option_group* source = command->add_option_group("inputs", "One of these");
  CLI::Option* input = source
                           ->add_option("--input", options->input,
                                        "NPY file of float32: normalised images (N, C, H, W), or "
                                        "sequences (N, C, L); of int64 (N, L) where a TCN takes "
                                        "indices")
                           ->check(not_empty());
  source
      ->add_option("--data", options->data,
                   "Folder as for train: its test images, normalised as config.json beside the "
                   "checkpoint says; prints accuracy and loss. Of a TCN of series a .ts file")
      ->check(not_empty());
  source->require_option(1);
  CLI::Option* output =
      command
          ->add_option("--output", options->output,
                       "NPY file to write: logits (N, classes), or outputs (N, size) or "
                       "(N, L, size) of sequences")
          ->check(not_empty());
  input->needs(output);
  command
      ->add_option("--names", options->names,
                   "Of series: text file to write, a line with the name of its class for each")
      ->excludes(input)
      ->check(not_empty());
  command->add_flag("--every-step", options->every_step,
                    "Of a model of sequences: an output for every step, also where it was trained "
                    "for the last one");
  add_precision_option(*command, options->precision, options->machine);
  add_machine_options(*command, options->machine);
  command->footer(
      R"(Channels, classes, image size and dtype come from the checkpoint. An array's images must be
normalised as in training: (pixel / 255 - mean) / std, as config.json of the run has them.
Examples:
  warptape predict simple_cnn --checkpoint runs/a/best.safetensors --input X.npy --output Y.npy
  warptape predict simple_cnn --checkpoint runs/a/best.safetensors --data data/digits
  warptape predict tcn --checkpoint runs/b/best.safetensors --input X.npy --output Y.npy
Of a TCN channels and kernel sizes come from the checkpoint's shapes; dilations, activation and kind
of block from its metadata, or else they are powers of 2, relu and bai. One of train --task series
has the names of its classes there, and how series are normalised, also those of an array; one of
--task sequence takes pixels from 0 to 255:
  warptape predict tcn --checkpoint runs/c/best.safetensors --data X_TEST.ts --names classes.txt)");
  command->callback([options] { predict(*options); });
}

}  // namespace warptape::tools
