#include "training/tasks/sequences.h"

#include <filesystem>

#include "core/check.h"
#include "core/random.h"
#include "models/sequence_models.h"
#include "training/data_loader.h"
#include "training/sequence_checkpoint.h"

namespace warptape {
namespace {

// The rows of a split, each loader with those of its own.
std::unique_ptr<Loader> loader(const TensorDataset& data, const std::vector<int64_t>& rows,
                               const DataLoaderOptions& options) {
  return std::make_unique<DataLoader>(data, rows, options);
}

// A model that cannot see its whole sequence learns less than it could, and nobody notices.
void warn_of_short_field(const SequenceModel& model, const OptionValues& options, int64_t length,
                         std::vector<std::string>& warnings) {
  const SeenOfSequence seen = model.seen(options);
  if (seen.receptive_field < length) {
    warnings.push_back(
        fmt::format("warning: an output depends on {} elements (its receptive field), the "
                    "sequences have {}; `warptape inspect {}` says which depth covers them",
                    seen.receptive_field, length, model.name));
  }
}

}  // namespace

void check_warm_up(int64_t warm_up, int64_t steps) {
  check<ValueError>(warm_up < steps,
                    "[train] --warm-up: got {} steps, wanted fewer than the {} of a sequence",
                    warm_up, steps);
}

void check_is_causal(const Recipe& recipe) {
  const SequenceModel& model = sequence_models().find(recipe.model.name);
  check<ValueError>(model.seen(recipe.model.options).look_ahead == 0,
                    "[train] --task {}: got a model whose outputs see what comes after them, which "
                    "is what they are to tell, wanted a causal one",
                    recipe.task.name);
}

std::string test_data_path(const std::string& option, const std::string& train) {
  if (!option.empty()) {
    return option;
  }
  const std::filesystem::path path(train);
  std::string name = path.filename().string();
  const size_t at = name.rfind("TRAIN");
  if (at != std::string::npos) {
    const std::string test =
        (path.parent_path() / name.replace(at, sizeof("TRAIN") - 1, "TEST")).string();
    std::error_code unknown;
    if (std::filesystem::exists(test, unknown)) {
      return test;
    }
  }
  throw ValueError(fmt::format(
      "[train] --test-data: not given, and beside {} there is no file with TEST for TRAIN in its "
      "name",
      escaped(train)));
}

DType dtype_of(const Recipe& recipe) {
  return recipe.dtype == "float64" ? float64 : float32;
}

TaskParts make_sequence_parts(Recipe& recipe, Device device, const SequenceData& data) {
  const Split split = data.splits_itself ? random_split(data.train.size(), 0, recipe.seed)
                                         : split_for(recipe, data.train.size());
  const SequenceModel& model = sequence_models().find(recipe.model.name);
  SequenceModelOptions general{
      .input_channels = data.indices ? data.indices->embedding_size : data.train.input().size(1),
      .output_size = data.output_size,
      .every_step = data.every_step,
      .weight_norm = recipe.weight_norm,
      .dtype = dtype_of(recipe),
      .indices = data.indices};
  TaskParts parts;
  manual_seed(recipe.seed);
  if (recipe.init) {
    parts.model =
        model_from_checkpoint(*recipe.init, general, recipe.model, parts.removed_wrappers);
  } else {
    recipe.model.options = sequence_models().complete(recipe.model);
    parts.model = model.make(general, recipe.model.options);
  }
  recipe.data_on_device.reset();  // batches come through pinned memory
  const DataLoaderOptions in_order{.batch_size = recipe.batch_size, .device = device};
  DataLoaderOptions for_training = in_order;
  for_training.drop_last = recipe.drop_last;
  for_training.shuffle = recipe.shuffle;
  for_training.seed = recipe.seed;
  parts.train = loader(data.train, split.train, for_training);
  parts.test = std::make_unique<DataLoader>(data.test, in_order);
  if (data.validation) {
    parts.validation = std::make_unique<DataLoader>(*data.validation, in_order);
  } else if (!split.held_out.empty()) {
    parts.validation = loader(data.train, split.held_out, in_order);
  }
  parts.loss = data.loss;
  parts.metric = data.metric;
  parts.rows = data.rows;
  parts.data_kind = data.kind;
  const Tensor& input = data.train.input();
  const int64_t steps = input.size(input.rank() - 1);
  const std::string channels =
      data.indices ? fmt::format("indices below {}", data.indices->vocabulary)
                   : fmt::format("{} channel{}", input.size(1), input.size(1) == 1 ? "" : "s");
  parts.data_shape = fmt::format("{}, {} steps{}{}", channels, steps,
                                 data.remark.empty() ? "" : "; ", data.remark);
  warn_of_short_field(model, recipe.model.options, steps, parts.warnings);
  general.every_step = data.answers_every_step.value_or(general.every_step);
  parts.checkpoint_metadata = sequence_metadata(recipe.model, general);
  if (!data.task_metadata.empty()) {
    parts.checkpoint_metadata[task_metadata_key] = data.task_metadata;
  }
  return parts;
}

}  // namespace warptape
