#include "training/sequence_checkpoint.h"

#include "core/check.h"
#include "models/tcn.h"
#include "training/recipe.h"

namespace warptape {
namespace {

constexpr const char* metadata_key = "sequence_model";

}  // namespace

std::map<std::string, std::string> sequence_metadata(const Choice& model,
                                                     const SequenceModelOptions& general) {
  return {{metadata_key, to_json(StoredModel{model, general.every_step})}};
}

ToldSequenceModel told_by(const NamedTensors& checkpoint, const std::string& path,
                          const std::string& name) {
  const SequenceModel& model = sequence_models().find(name);
  ToldSequenceModel told{.general = {}, .own = sequence_models().complete({name})};
  const auto metadata = checkpoint.metadata.find(metadata_key);
  if (metadata != checkpoint.metadata.end()) {
    const StoredModel stored = stored_model_from_json(metadata->second, path);
    check<ValueError>(stored.model.name == name, "{}: got a checkpoint of the model {}, wanted {}",
                      escaped(path), escaped(stored.model.name), name);
    told.own = stored.model.options;
    told.general.every_step = stored.every_step;
  }
  try {
    model.take_from(checkpoint.tensors, told.general, told.own);
  } catch (const ValueError& error) {
    throw ValueError(fmt::format("{}: {}", escaped(path), error.what()));
  }
  return told;
}

std::unique_ptr<Module> model_from_checkpoint(const std::string& path,
                                              const SequenceModelOptions& wanted, Choice& choice,
                                              std::vector<std::string>& removed_wrappers) {
  const NamedTensors checkpoint = load_safetensors(path);
  const ToldSequenceModel told = told_by(checkpoint, path, choice.name);
  check<ValueError>(told.general.input_channels == wanted.input_channels,
                    "[train] {}: the checkpoint takes {} input channels, the data have {}",
                    escaped(path), told.general.input_channels, wanted.input_channels);
  check<ValueError>(told.general.output_size == wanted.output_size,
                    "[train] {}: the checkpoint has {} outputs, the task wants {}", escaped(path),
                    told.general.output_size, wanted.output_size);
  OptionValues options = told.own;
  for (const auto& [name, value] : choice.options) {
    options[name] = value;
  }
  choice.options = sequence_models().complete({choice.name, options});
  std::unique_ptr<Module> model = sequence_models().find(choice.name).make(wanted, choice.options);
  try {
    removed_wrappers = load_state_dict(*model, without_duplicates(checkpoint.tensors), {});
  } catch (const ValueError& error) {
    throw ValueError(escaped(path) + ": " + error.what());
  }
  return model;
}

}  // namespace warptape
