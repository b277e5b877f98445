// warptape predict MODEL

#include <algorithm>

#include <fmt/format.h>

#include "core/primitives.h"
#include "models/simple_cnn.h"
#include "tools/commands.h"
#include "training/npy.h"
#include "training/safetensors.h"

namespace warptape::tools {
namespace {

struct PredictOptions {
  std::string model;
  std::string checkpoint;
  std::string input;
  std::string output;
  MachineOptions machine;
};

SimpleCNN load_model(const std::string& path, const Shape& images) {
  const NamedTensors checkpoint = load_safetensors(path);
  SimpleCNN::Options options = SimpleCNN::options_for(checkpoint.tensors);
  // The checkpoint's shapes leave the image size open by up to three pixels: the images tell.
  if (images[2] == images[3] && images[2] / 4 == options.image_size / 4) {
    options.image_size = images[2];
  }
  SimpleCNN model(options);
  try {
    load_state_dict(model, checkpoint.tensors, {});
  } catch (const ValueError& error) {
    throw ValueError(path + ": " + error.what());
  }
  return model;
}

Tensor load_images(const std::string& path) {
  Tensor images = load_npy(path);
  check<ValueError>(images.rank() == 4, "[predict] {}: got shape {}, wanted (N, C, H, W)", path,
                    images.shape());
  check<ValueError>(is_floating(images.dtype()),
                    "[predict] {}: got {}, wanted normalised float32 (or float64)", path,
                    to_string(images.dtype()));
  return images;
}

int predict(const PredictOptions& options) {
  apply(options.machine);
  const Tensor images = load_images(options.input);
  SimpleCNN model = load_model(options.checkpoint, images.shape());
  const SimpleCNN::Options& fitted = model.options();
  const Shape wanted{images.size(0), fitted.input_channels, fitted.image_size, fitted.image_size};
  check<ValueError>(images.shape() == wanted,
                    "[predict] {}: got images {}, the checkpoint {} takes (N, {}, {}, {})",
                    options.input, images.shape(), options.checkpoint, fitted.input_channels,
                    fitted.image_size, fitted.image_size);
  model.eval();
  constexpr int64_t batch_size = 256;
  const int64_t count = images.size(0);
  Tensor logits = Tensor::empty({count, fitted.num_classes}, fitted.dtype);
  for (int64_t begin = 0; begin < count; begin += batch_size) {
    const int64_t end = std::min(count, begin + batch_size);
    Tensor part = logits.slice(begin, end);
    primitives::copy(model(primitives::cast(images.slice(begin, end), fitted.dtype)), part);
  }
  save_npy(options.output, logits);
  fmt::print("{}: logits {}, {}\n", options.output, logits.shape(), to_string(logits.dtype()));
  return 0;
}

}  // namespace

void add_predict_command(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("predict", "Logits of a trained model for an array of images");
  auto options = std::make_shared<PredictOptions>();
  command->add_option("model", options->model, "simple_cnn")
      ->required()
      ->check(CLI::IsMember({"simple_cnn"}));
  command->add_option("--checkpoint", options->checkpoint, "A safetensors file")->required();
  command
      ->add_option("--input", options->input, "NPY file: normalised images, float32 (N, C, H, W)")
      ->required();
  command->add_option("--output", options->output, "NPY file to write: logits (N, classes)")
      ->required();
  add_machine_options(*command, options->machine);
  command->footer(
      "Channels, classes, image size and dtype come from the checkpoint. Images are normalised as "
      "in\n"
      "training: (pixel / 255 - mean) / std, with the mean and std of the run's config.json.\n"
      "Example:\n"
      "  warptape predict simple_cnn --checkpoint runs/a/best.safetensors --input X.npy --output "
      "Y.npy");
  command->callback([options] { predict(*options); });
}

}  // namespace warptape::tools
