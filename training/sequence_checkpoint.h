#pragma once
// Checkpoints of sequence models: what their shapes do not tell stands in their metadata.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/registry.h"
#include "models/sequence_models.h"
#include "training/safetensors.h"

namespace warptape {

// Where a checkpoint's metadata say more of the task that it was trained for: JSON with its "name".
inline constexpr const char* task_metadata_key = "sequence_task";

// "sequence_model": JSON of the model's name, its options, and whether every step has an output.
std::map<std::string, std::string> sequence_metadata(const Choice& model,
                                                     const SequenceModelOptions& general);

// What a checkpoint of this model tells, by its metadata where it has some, and by its shapes.
// ValueError or FileError with the path for what is none.
struct ToldSequenceModel {
  SequenceModelOptions general;
  OptionValues own;  // of all options
};
ToldSequenceModel told_by(const NamedTensors& checkpoint, const std::string& path,
                          const std::string& model);

// The model with a checkpoint's weights, for data that ask for `wanted`; its options are the
// checkpoint's, except for those that `choice` gives, which has all of them afterwards. ValueError
// with the path for weights that do not fit.
std::unique_ptr<Module> model_from_checkpoint(const std::string& path,
                                              const SequenceModelOptions& wanted, Choice& choice,
                                              std::vector<std::string>& removed_wrappers);

}  // namespace warptape
