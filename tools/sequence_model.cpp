#include "tools/sequence_model.h"

#include <cstdio>

#include "core/check.h"
#include "models/tcn.h"
#include "tools/commands.h"

namespace warptape::tools {
namespace {

// The metadata speak of this very model.
void check_task(const LoadedSequenceModel& model, const char* who) {
  const SequenceModelOptions& general = model.general;
  const std::string path = escaped(model.path);
  if (model.series) {
    const size_t classes = model.series->classes.size();
    check<ValueError>(static_cast<int64_t>(classes) == general.output_size,
                      "[{}] {}: got {} classes and {} outputs, wanted as many", who, path, classes,
                      general.output_size);
  }
  const auto scales = static_cast<int64_t>(model.input.channels.size());
  check<ValueError>(scales == 0 || scales == general.input_channels,
                    "[{}] {}: got the mean of {} channels, the model takes {}; wanted as many", who,
                    path, scales, general.input_channels);
  if (model.characters) {
    const auto known = static_cast<int64_t>(model.characters->vocabulary.size());
    check<ValueError>(
        general.indices && known == general.indices->vocabulary && known == general.output_size,
        "[{}] {}: got {} characters, an embedding of {} and {} outputs, wanted as "
        "many",
        who, path, known, general.indices ? general.indices->vocabulary : 0, general.output_size);
  }
}

}  // namespace

std::string LoadedSequenceModel::task() const {
  if (series) {
    return fmt::format("series, {} classes; {}; {} tells the class", series->classes.size(),
                       series->normalise == "none"     ? "numbers are taken as they are"
                       : series->normalise == "series" ? "normalised by series"
                                                       : "normalised by channel",
                       is_mean_of_steps() ? "the mean over steps" : "the last step");
  }
  if (pixels) {
    return fmt::format(
        "pixels of images, 0 to 255, normalised by channel{}",
        pixels->permute == 0 ? "" : fmt::format(", in the order of --permute {}", pixels->permute));
  }
  return characters ? fmt::format("{} characters", characters->vocabulary.size()) : "";
}

LoadedSequenceModel load_sequence_model(const std::string& path,
                                        const SequenceModelRequest& request) {
  const NamedTensors checkpoint = load_safetensors(path);
  ToldSequenceModel told = told_by(checkpoint, path, request.model);
  told.general.every_step = told.general.every_step || request.every_step;
  for (const auto& [name, value] : request.own) {
    told.own[name] = value;
  }
  LoadedSequenceModel loaded;
  loaded.path = path;
  loaded.general = told.general;
  loaded.own =
      sequence_models().complete({request.model, told.own}, OptionNames::flags(request.who));
  loaded.input = task_input(checkpoint, path);
  loaded.series = series_metadata(checkpoint, path);
  loaded.pixels = pixel_metadata(checkpoint, path);
  loaded.characters = char_metadata(checkpoint, path);
  check_task(loaded, request.who);
  loaded.module = sequence_models().find(request.model).make(loaded.general, loaded.own);
  try {
    // Not on standard output, where the commands answer.
    fmt::print(
        stderr, "{}",
        removed_wrappers_line(
            path, load_state_dict(*loaded.module, without_duplicates(checkpoint.tensors), {})));
  } catch (const ValueError& error) {
    throw ValueError(escaped(path) + ": " + error.what());
  }
  loaded.module->eval();
  return loaded;
}

}  // namespace warptape::tools
