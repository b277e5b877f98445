// warptape train MODEL

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include <fmt/format.h>

#include "core/parallel.h"
#include "core/random.h"
#include "kernels/vendor/onednn.h"
#include "models/simple_cnn.h"
#include "tools/commands.h"
#include "tools/end_signals.h"
#include "tools/progress.h"
#include "tools/train_options.h"
#include "training/permutation.h"
#include "training/run_folder.h"
#include "training/safetensors.h"

namespace warptape::tools {
namespace {

// The shipped digits: beside the source that this program was built from, or under the current
// folder.
std::string default_data() {
  const std::string shipped = WARPTAPE_SOURCE_DIR "/data/digits";
  return std::filesystem::exists(shipped) ? shipped : "data/digits";
}

struct Split {
  std::vector<int64_t> train;
  std::vector<int64_t> validation;
};

Split split(int64_t count, double fraction, uint64_t seed) {
  Split result;
  if (fraction == 0) {
    result.train.resize(static_cast<size_t>(count));
    std::iota(result.train.begin(), result.train.end(), int64_t{0});
    return result;
  }
  std::vector<int64_t> order = random_permutation(count, seed, Purpose::Split, 0);
  const auto held_out = static_cast<int64_t>(static_cast<double>(count) * fraction + 0.5);
  check<ValueError>(
      held_out >= 1 && held_out < count,
      "[train] --validation {}: {} of {} training images, wanted at least 1 on either "
      "side",
      fraction, held_out, count);
  result.validation.assign(order.begin(), order.begin() + held_out);
  result.train.assign(order.begin() + held_out, order.end());
  std::sort(result.train.begin(), result.train.end());  // --no-shuffle keeps the files' order
  return result;
}

// One number stands for all channels.
std::vector<double> per_channel(const char* option, std::vector<double> values, int64_t channels) {
  if (values.size() == 1) {
    values.resize(static_cast<size_t>(channels), values[0]);
  }
  check<ValueError>(static_cast<int64_t>(values.size()) == channels,
                    "[train] {}: got {} numbers, wanted 1 or {} (one per channel)", option,
                    values.size(), channels);
  return values;
}

ImageTransform make_transform(const TrainOptions& options, const ImageSet& images,
                              const std::vector<int64_t>& indices) {
  ImageTransform transform;
  transform.image_size = options.image_size;
  transform.dtype = options.dtype == "float64" ? float64 : float32;
  const ChannelStatistics statistics = channel_statistics(images, indices);
  const int64_t channels = images.images.size(1);
  transform.mean =
      options.mean.empty() ? statistics.mean : per_channel("--mean", options.mean, channels);
  transform.std =
      options.std.empty() ? statistics.std : per_channel("--std", options.std, channels);
  return transform;
}

SimpleCNN make_model(const TrainOptions& options, const ImageData& data, DType dtype) {
  SimpleCNN::Options model_options{.input_channels = data.train.images.size(1),
                                   .num_classes = data.classes,
                                   .image_size = options.image_size,
                                   .weight_norm = !options.no_weight_norm,
                                   .dtype = dtype};
  if (options.init.empty()) {
    return SimpleCNN(model_options);
  }
  const NamedTensors checkpoint = load_safetensors(options.init);
  // Where the checkpoint does not tell, loading it says what is wrong.
  const SimpleCNN::Told stored = SimpleCNN::told_by(checkpoint.tensors);
  const int64_t channels = stored.input_channels.value_or(model_options.input_channels);
  check<ValueError>(
      channels == model_options.input_channels,
      "[train] {}: the checkpoint takes images of {} channels, the data in {} have {}",
      escaped(options.init), channels, escaped(options.data), model_options.input_channels);
  model_options.num_classes = stored.num_classes.value_or(data.classes);
  check<ValueError>(!options.classes || model_options.num_classes == *options.classes,
                    "[train] {}: the checkpoint has {} classes, wanted {} (--classes)",
                    escaped(options.init), model_options.num_classes, options.classes.value_or(0));
  check<ValueError>(
      model_options.num_classes >= data.classes,
      "[train] {}: the checkpoint has {} classes, the data in {} have labels up to {}",
      escaped(options.init), model_options.num_classes, escaped(options.data), data.classes - 1);
  SimpleCNN model(model_options);
  load_checkpoint(options.init, checkpoint.tensors, model);
  return model;
}

using Json = nlohmann::ordered_json;

// The value, or null where it does not apply.
template <class Value>
Json or_null(bool applies, const Value& value) {
  return applies ? Json(value) : Json(nullptr);
}

Json describe(const TrainOptions& o, const ImageData& data, const Split& parts,
              const ImageTransform& transform, SimpleCNN& model) {
  Json json;
  json["warptape"] = version();
  json["model"] = o.model;
  json["input_channels"] = model.options().input_channels;
  json["num_classes"] = model.options().num_classes;
  json["image_size"] = o.image_size;
  json["weight_norm"] = !o.no_weight_norm;
  json["parameters"] = count_parameters(model);
  json["data"] = o.data;
  json["data_kind"] = data.kind;
  json["train_images"] = parts.train.size();
  json["validation_images"] = parts.validation.size();
  json["test_images"] = data.test.labels.numel();
  json["mean"] = transform.mean;
  json["std"] = transform.std;
  json["validation"] = o.validation;
  json["epochs"] = o.epochs;
  json["max_steps"] = or_null(o.max_steps > 0, o.max_steps);
  json["batch_size"] = o.batch_size;
  json["drop_last"] = o.drop_last;
  json["shuffle"] = !o.no_shuffle;
  json["optimizer"] = o.optimizer;
  json["lr"] = o.lr;
  json["momentum"] = momentum(o);
  json["nesterov"] = o.nesterov;
  json["weight_decay"] = weight_decay(o);
  json["schedule"] = o.schedule;
  json["warmup_steps"] = o.warmup_steps;
  json["step_epochs"] = step_epochs(o);
  json["gamma"] = gamma(o);
  json["min_lr"] = min_lr(o);
  json["clip_norm"] = or_null(o.clip_norm > 0, o.clip_norm);
  json["dtype"] = o.dtype;
  json["seed"] = o.seed;
  json["init"] = or_null(!o.init.empty(), o.init);
  const bool on_gpu = o.machine.device != "cpu";
  json["device"] = o.machine.device;
  json["gpu_libraries"] = or_null(on_gpu, name_of(gpu_libraries()));
  // Not or_null: runs on the CPU load no libraries of a GPU.
  json["cublaslt"] = on_gpu ? Json(version_of(cublas_library())) : Json();
  json["cudnn"] = on_gpu ? Json(version_of(cudnn_library())) : Json();
  json["tf32"] = on_gpu ? Json(product_precision() == "tf32") : Json();
  json["data_on_device"] = or_null(on_gpu, o.data_on_device == "on");
  json["threads"] = num_threads();
  json["onednn"] = or_null(onednn_is_built_in(), onednn_version());
  return json;
}

void print_header(const TrainOptions& o, const ImageData& data, const Split& parts,
                  SimpleCNN& model, Device device) {
  const Shape& shape = data.train.images.shape();
  fmt::print(
      "{}: {} training, {}{} test images of {}x{}x{}, {} classes ({})\n", data.kind,
      parts.train.size(),
      parts.validation.empty() ? "" : fmt::format("{} validation, ", parts.validation.size()),
      data.test.labels.numel(), shape[1], shape[2], shape[3], data.classes, escaped(o.data));
  const bool by_onednn = device == cpu && o.dtype == "float32" && onednn_is_built_in();
  fmt::print("{}\n{} parameters, {}, on {}{}\n", to_string(model), count_parameters(model), o.dtype,
             describe_device(device), by_onednn ? ", oneDNN " + onednn_version() : "");
}

// Moves the images to the device where that is wanted, and says in the options what was done.
void place_data(TrainOptions& options, ImageData& data, Device device) {
  const int64_t bytes = data.train.images.bytes() + data.test.images.bytes();
  const bool fits = options.data_on_device == "auto" && fits_on_device(device, bytes);
  options.data_on_device = fits || options.data_on_device == "on" ? "on" : "off";
  if (options.data_on_device == "on") {
    data.train = to(data.train, device);
    data.test = to(data.test, device);
  }
}

int train(TrainOptions options) {
  check_combinations(options);
  const Device device = apply(options.machine);
  check<ValueError>(device != cpu || options.data_on_device == "auto",
                    "[train] --data-on-device {}: got --device {}, wanted a GPU",
                    options.data_on_device, options.machine.device);
  options.machine.device = to_string(device);
  options.data = options.data.empty() ? default_data() : options.data;
  ImageData data = load_image_data(options.data, options.classes);
  const Split parts = split(data.train.labels.numel(), options.validation, options.seed);
  const ImageTransform transform = make_transform(options, data.train, parts.train);

  manual_seed(options.seed);
  SimpleCNN model = make_model(options, data, transform.dtype);
  model.to(device);
  const auto optimizer = make_optimizer(options, parameters(model));

  place_data(options, data, device);
  const ImageLoaderOptions in_order{.batch_size = options.batch_size, .device = device};
  ImageLoaderOptions shuffled = in_order;
  shuffled.drop_last = options.drop_last;
  shuffled.shuffle = !options.no_shuffle;
  shuffled.seed = options.seed;
  std::vector<int64_t> all_test(static_cast<size_t>(data.test.labels.numel()));
  std::iota(all_test.begin(), all_test.end(), int64_t{0});
  ImageLoader train_loader(data.train, parts.train, transform, shuffled);
  ImageLoader test_loader(data.test, all_test, transform, in_order);
  ImageLoader validation_loader(data.train, parts.validation, transform, in_order);
  check<ValueError>(train_loader.batches_per_epoch() > 0,
                    "[train] --drop-last leaves no batch: {} training images, batch size {}",
                    train_loader.size(), options.batch_size);

  const ScheduleOptions schedule = make_schedule(options, train_loader.batches_per_epoch());
  const bool with_validation = !parts.validation.empty();
  RunFolder run(options.out.empty() ? RunFolder::make_default(options.model) : options.out,
                to_text(describe(options, data, parts, transform, model)), with_validation);
  print_header(options, data, parts, model, device);
  Progress progress(options.epochs, train_loader.batches_per_epoch(), with_validation);

  TrainingOptions training{
      .epochs = options.epochs, .max_steps = {}, .clip_norm = {}, .schedule = schedule};
  if (options.max_steps > 0) {
    training.max_steps = options.max_steps;
  }
  if (options.clip_norm > 0) {
    training.clip_norm = options.clip_norm;
  }
  TrainingCallbacks callbacks;
  callbacks.on_step = [&](const StepMetrics& step) {
    run.add_step(step);
    progress.on_step(step);
  };
  callbacks.on_epoch = [&](const EpochMetrics& epoch) {
    progress.on_epoch(epoch, run.add_epoch(epoch, model));
  };
  end_in_order();
  callbacks.should_stop = [] { return end_signal() != 0; };

  const TrainingData loaders{train_loader, test_loader,
                             with_validation ? &validation_loader : nullptr};
  const EpochMetrics best = train_classifier(model, *optimizer, loaders, training, callbacks);
  fmt::print(
      "best: epoch {}, test accuracy {:.2f} %, test loss {:.4f}\n{}: metrics.csv, steps.csv, "
      "config.json, last.safetensors, best.safetensors\n",
      best.epoch, 100 * best.test.accuracy, best.test.loss, escaped(run.path()));
  return end_signal() != 0 ? 128 + end_signal() : 0;
}

}  // namespace

void add_train_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand("train", "Train a model on a folder of images");
  auto options = std::make_shared<TrainOptions>();
  add_options(*command, *options);
  command->callback([options] {
    const int status = train(*options);
    if (status != 0) {
      throw CLI::RuntimeError(status);
    }
  });
}

}  // namespace warptape::tools
