#include "training/image_run.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "core/check.h"
#include "core/device/gpu.h"
#include "core/device/on_device.h"
#include "core/parallel.h"
#include "core/random.h"
#include "layers/precision.h"
#include "models/image_models.h"
#include "training/optimizers.h"
#include "training/safetensors.h"

namespace warptape {
namespace {

// Data is kept on a GPU where it takes at most this part of its memory.
constexpr size_t share_for_data = 4;

std::vector<int64_t> all_of(int64_t count) {
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  return numbers;
}

// One number stands for all channels, none for those of the training set.
std::vector<double> per_channel(const char* option, std::vector<double> given,
                                const std::vector<double>& measured) {
  if (given.empty()) {
    return measured;
  }
  if (given.size() == 1) {
    given.resize(measured.size(), given[0]);
  }
  check<ValueError>(given.size() == measured.size(),
                    "[train] {}: got {} numbers, wanted 1 or {} (one per channel)", option,
                    given.size(), measured.size());
  return given;
}

}  // namespace

bool fits_on_device(Device device, int64_t bytes) {
  if constexpr (has_gpu) {
    return device != cpu &&
           bytes <= static_cast<int64_t>(gpu::properties().memory_bytes / share_for_data);
  }
  return false;
}

ImageRun::ImageRun(Recipe recipe) : recipe_(std::move(recipe)) {
  check_choices(recipe_);
  if (recipe_.threads > 0) {
    set_num_threads(static_cast<int>(recipe_.threads));
  }
  recipe_.threads = num_threads();
  device_ = parse_device(recipe_.device);
  recipe_.device = to_string(device_);
  const std::optional<int64_t> classes =
      recipe_.num_classes > 0 ? std::optional(recipe_.num_classes) : std::nullopt;
  data_ = load_image_data(recipe_.data, classes);
  try {
    split_ = random_split(data_.train.labels.numel(), recipe_.validation, recipe_.seed);
  } catch (const ValueError& error) {
    throw ValueError(fmt::format("[train] --validation {}: {}", recipe_.validation, error.what()));
  }
  const ImageTransform transform = make_transform();
  recipe_.mean = transform.mean;
  recipe_.std = transform.std;
  manual_seed(recipe_.seed);
  model_ = make_model();
  model_->to(device_);
  if (recipe_.precision == "bf16") {
    set_precision(*model_, bfloat16);
  }
  optimizer_ = make_optimizer(recipe_.optimizer, parameters(*model_));
  place_data();
  make_loaders(transform);
}

ImageTransform ImageRun::make_transform() const {
  const ChannelStatistics measured = channel_statistics(data_.train, split_.train);
  return {.image_size = recipe_.image_size,
          .mean = per_channel("--mean", recipe_.mean, measured.mean),
          .std = per_channel("--std", recipe_.std, measured.std),
          .dtype = recipe_.dtype == "float64" ? float64 : float32};
}

std::unique_ptr<Module> ImageRun::make_model() {
  const ImageModel& model = find_image_model(recipe_.model);
  const int64_t channels = data_.train.images.size(1);
  check<ValueError>(recipe_.input_channels == 0 || recipe_.input_channels == channels,
                    "[train] {}: got images of {} channels, wanted {}", escaped(recipe_.data),
                    channels, recipe_.input_channels);
  const int64_t wanted_classes = recipe_.num_classes;
  ImageModelOptions options{.input_channels = channels,
                            .num_classes = data_.classes,
                            .image_size = recipe_.image_size,
                            .weight_norm = recipe_.weight_norm,
                            .dtype = recipe_.dtype == "float64" ? float64 : float32};
  NamedTensors checkpoint;
  if (recipe_.init) {
    checkpoint = load_safetensors(*recipe_.init);
    // Where the checkpoint does not tell, loading it says what is wrong.
    const ImageModelTold stored = model.told_by(checkpoint.tensors);
    const std::string path = escaped(*recipe_.init);
    const std::string data = escaped(recipe_.data);
    check<ValueError>(
        stored.input_channels.value_or(channels) == channels,
        "[train] {}: the checkpoint takes images of {} channels, the data in {} have {}", path,
        stored.input_channels.value_or(0), data, channels);
    options.num_classes = stored.num_classes.value_or(data_.classes);
    check<ValueError>(wanted_classes == 0 || options.num_classes == wanted_classes,
                      "[train] {}: the checkpoint has {} classes, wanted {} (--classes)", path,
                      options.num_classes, wanted_classes);
    check<ValueError>(options.num_classes >= data_.classes,
                      "[train] {}: the checkpoint has {} classes, the data in {} have labels up "
                      "to {}",
                      path, options.num_classes, data, data_.classes - 1);
  }
  recipe_.input_channels = channels;
  recipe_.num_classes = options.num_classes;
  std::unique_ptr<Module> made = model.make(options);
  if (recipe_.init) {
    try {
      removed_wrappers_ = load_state_dict(*made, checkpoint.tensors, {});
    } catch (const ValueError& error) {
      throw ValueError(escaped(*recipe_.init) + ": " + error.what());
    }
  }
  return made;
}

void ImageRun::place_data() {
  if (device_ == cpu) {
    recipe_.data_on_device.reset();
    return;
  }
  const int64_t bytes = data_.train.images.bytes() + data_.test.images.bytes();
  recipe_.data_on_device = recipe_.data_on_device.value_or(fits_on_device(device_, bytes));
  if (*recipe_.data_on_device) {
    data_.train = to(data_.train, device_);
    data_.test = to(data_.test, device_);
  }
}

void ImageRun::make_loaders(const ImageTransform& transform) {
  const ImageLoaderOptions in_order{.batch_size = recipe_.batch_size, .device = device_};
  ImageLoaderOptions for_training = in_order;
  for_training.drop_last = recipe_.drop_last;
  for_training.shuffle = recipe_.shuffle;
  for_training.seed = recipe_.seed;
  train_loader_ = std::make_unique<ImageLoader>(data_.train, split_.train, transform, for_training);
  test_loader_ = std::make_unique<ImageLoader>(data_.test, all_of(data_.test.labels.numel()),
                                               transform, in_order);
  validation_loader_ =
      std::make_unique<ImageLoader>(data_.train, split_.held_out, transform, in_order);
  check<ValueError>(train_loader_->batches_per_epoch() > 0,
                    "[train] --drop-last leaves no batch: {} training images, batch size {}",
                    train_loader_->size(), recipe_.batch_size);
  make_schedule(recipe_, steps_per_epoch());  // throws for one that cannot be
}

RunFacts ImageRun::facts() const {
  return {.data_kind = data_.kind,
          .train_images = static_cast<int64_t>(split_.train.size()),
          .validation_images = static_cast<int64_t>(split_.held_out.size()),
          .test_images = data_.test.labels.numel(),
          .parameters = count_parameters(*model_)};
}

TrainingOptions ImageRun::training_options() const {
  return {.epochs = recipe_.epochs,
          .max_steps = recipe_.max_steps,
          .clip_norm = recipe_.clip_norm,
          .schedule = make_schedule(recipe_, steps_per_epoch()),
          .checkpoint_every = recipe_.checkpoint_every,
          .patience = recipe_.patience};
}

void ImageRun::restore(const RunState& state) {
  const std::vector<std::string> differ = differing_keys(recipe_, state.recipe);
  check<ValueError>(
      differ.empty(),
      "[train] the checkpoint is of another recipe: {} differ; a run goes on with what "
      "it began with, another one may begin with its weights (init)",
      fmt::join(differ, ", "));
  const TrainingPosition& at = state.position;
  check<ValueError>(at.batches <= steps_per_epoch() && at.epoch <= recipe_.epochs + 1 &&
                        at.step <= (at.epoch - 1) * steps_per_epoch() + at.batches,
                    "[train] the checkpoint is at step {}, batch {} of epoch {}, which a run of {} "
                    "batches per epoch does not have",
                    at.step, at.batches, at.epoch, steps_per_epoch());
  load_state_dict(*model_, state.model);
  optimizer_->load_state_dict(state.optimizer);
  default_generator().restore(state.seed, state.streams);
  position_ = state.position;
}

bool ImageRun::is_complete() const {
  return warptape::is_complete(position_, training_options());
}

RunState ImageRun::state(const TrainingPosition& position) {
  return {.recipe = recipe_,
          .position = position,
          .seed = default_generator().seed(),
          .streams = default_generator().streams(),
          .model = state_dict(*model_),
          .optimizer = optimizer_->state_dict()};
}

EpochMetrics ImageRun::train(RunFolder& folder, const TrainingCallbacks& callbacks) {
  TrainingCallbacks with_folder = callbacks;
  with_folder.on_step = [&](const StepMetrics& step) {
    folder.add_step(step);
    callbacks.on_step(step);
  };
  with_folder.on_epoch = [&](const EpochMetrics& epoch) {
    folder.add_epoch(epoch, *model_);
    callbacks.on_epoch(epoch);
  };
  with_folder.on_checkpoint = [&](const TrainingPosition& position) {
    folder.sync();
    save_run_state(folder.checkpoint_path(), state(position));
    callbacks.on_checkpoint(position);
  };
  const TrainingData loaders{*train_loader_, *test_loader_,
                             has_validation() ? validation_loader_.get() : nullptr};
  return train_classifier(*model_, *optimizer_, loaders, training_options(), with_folder,
                          position_);
}

}  // namespace warptape
