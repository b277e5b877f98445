// Classifying images: any folder that load_image_data reads.

#include <algorithm>
#include <numeric>

#include "core/check.h"
#include "core/random.h"
#include "models/image_models.h"
#include "training/data_on_device.h"
#include "training/image_data.h"
#include "training/image_loader.h"
#include "training/safetensors.h"
#include "training/tasks.h"
#include "training/tensor_dataset.h"

namespace warptape {
namespace {

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

ImageTransform make_transform(const Recipe& recipe, const ImageData& data, const Split& split) {
  const ChannelStatistics measured = channel_statistics(data.train, split.train);
  return {.image_size = recipe.image_size,
          .mean = per_channel("--mean", recipe.mean, measured.mean),
          .std = per_channel("--std", recipe.std, measured.std),
          .dtype = recipe.dtype == "float64" ? float64 : float32};
}

std::unique_ptr<Module> make_model(Recipe& recipe, const ImageData& data,
                                   std::vector<std::string>& removed_wrappers) {
  const ImageModel& model = find_image_model(recipe.model.name);
  const int64_t channels = data.train.images.size(1);
  check<ValueError>(recipe.input_channels == 0 || recipe.input_channels == channels,
                    "[train] {}: got images of {} channels, wanted {}", escaped(recipe.data),
                    channels, recipe.input_channels);
  const int64_t wanted_classes = recipe.num_classes;
  ImageModelOptions options{.input_channels = channels,
                            .num_classes = data.classes,
                            .image_size = recipe.image_size,
                            .weight_norm = recipe.weight_norm,
                            .dtype = recipe.dtype == "float64" ? float64 : float32};
  NamedTensors checkpoint;
  if (recipe.init) {
    checkpoint = load_safetensors(*recipe.init);
    // Where the checkpoint does not tell, loading it says what is wrong.
    const ImageModelTold stored = model.told_by(checkpoint.tensors);
    const std::string path = escaped(*recipe.init);
    const std::string source = escaped(recipe.data);
    check<ValueError>(
        stored.input_channels.value_or(channels) == channels,
        "[train] {}: the checkpoint takes images of {} channels, the data in {} have {}", path,
        stored.input_channels.value_or(0), source, channels);
    options.num_classes = stored.num_classes.value_or(data.classes);
    check<ValueError>(wanted_classes == 0 || options.num_classes == wanted_classes,
                      "[train] {}: the checkpoint has {} classes, wanted {} (--classes)", path,
                      options.num_classes, wanted_classes);
    check<ValueError>(options.num_classes >= data.classes,
                      "[train] {}: the checkpoint has {} classes, the data in {} have labels up "
                      "to {}",
                      path, options.num_classes, source, data.classes - 1);
  }
  recipe.input_channels = channels;
  recipe.num_classes = options.num_classes;
  std::unique_ptr<Module> made = model.make(options);
  if (recipe.init) {
    try {
      removed_wrappers = load_state_dict(*made, checkpoint.tensors, {});
    } catch (const ValueError& error) {
      throw ValueError(escaped(*recipe.init) + ": " + error.what());
    }
  }
  return made;
}

// Where the pixels lie while a model trains.
void place(ImageData& data, Recipe& recipe, Device device) {
  recipe.data_on_device = keeps_on_device(recipe.data_on_device, device,
                                          data.train.images.bytes() + data.test.images.bytes());
  if (recipe.data_on_device.value_or(false)) {
    data.train = to(data.train, device);
    data.test = to(data.test, device);
  }
}

TaskParts make_images(Recipe& recipe, Device device) {
  const std::optional<int64_t> classes =
      recipe.num_classes > 0 ? std::optional(recipe.num_classes) : std::nullopt;
  ImageData data = load_image_data(recipe.data, classes);
  const Split split = split_for(recipe, data.train.labels.numel());
  const ImageTransform transform = make_transform(recipe, data, split);
  recipe.mean = transform.mean;
  recipe.std = transform.std;
  manual_seed(recipe.seed);
  TaskParts parts;
  parts.model = make_model(recipe, data, parts.removed_wrappers);
  place(data, recipe, device);
  const ImageLoaderOptions in_order{.batch_size = recipe.batch_size, .device = device};
  ImageLoaderOptions for_training = in_order;
  for_training.drop_last = recipe.drop_last;
  for_training.shuffle = recipe.shuffle;
  for_training.seed = recipe.seed;
  const auto loader = [&](const ImageSet& set, std::vector<int64_t> indices,
                          const ImageLoaderOptions& options) {
    return std::make_unique<ImageLoader>(set, std::move(indices), transform, options);
  };
  parts.train = loader(data.train, split.train, for_training);
  parts.test = loader(data.test, all_of(data.test.labels.numel()), in_order);
  if (!split.held_out.empty()) {
    parts.validation = loader(data.train, split.held_out, in_order);
  }
  parts.loss = cross_entropy_loss();
  parts.metric = accuracy();
  parts.data_kind = data.kind;
  const Shape& shape = data.train.images.shape();
  parts.data_shape =
      fmt::format("{}x{}x{}, {} classes", shape[1], shape[2], shape[3], data.classes);
  return parts;
}

}  // namespace

Task images_task() {
  return {.name = "images",
          .description = "classes of images",
          .options = {},
          .is_of_images = true,
          .make = make_images};
}

}  // namespace warptape
