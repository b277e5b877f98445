#include "training/tasks/sequences.h"

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

DType dtype_of(const Recipe& recipe) {
  return recipe.dtype == "float64" ? float64 : float32;
}

TaskParts make_sequence_parts(Recipe& recipe, Device device, const SequenceData& data) {
  const Split split = split_for(recipe, data.train.size());
  const SequenceModel& model = sequence_models().find(recipe.model.name);
  SequenceModelOptions general{.input_channels = data.train.input().size(1),
                               .output_size = data.output_size,
                               .every_step = data.every_step,
                               .weight_norm = recipe.weight_norm,
                               .dtype = dtype_of(recipe)};
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
  if (!split.held_out.empty()) {
    parts.validation = loader(data.train, split.held_out, in_order);
  }
  parts.loss = data.loss;
  parts.metric = data.metric;
  parts.rows = "sequences";
  parts.data_kind = data.kind;
  const Shape& shape = data.train.input().shape();
  parts.data_shape = fmt::format("{} channel{}, {} steps{}{}", shape[1], shape[1] == 1 ? "" : "s",
                                 shape[2], data.remark.empty() ? "" : "; ", data.remark);
  warn_of_short_field(model, recipe.model.options, shape[2], parts.warnings);
  parts.checkpoint_metadata = sequence_metadata(recipe.model, general);
  return parts;
}

}  // namespace warptape
