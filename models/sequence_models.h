#pragma once
// The models of sequences, by name.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/registry.h"
#include "layers/module.h"
#include "layers/state_dict.h"

namespace warptape {

// Inputs that are indices, (N, L) of int64, such as characters: each is embedded first.
struct IndexInput {
  int64_t vocabulary = 0;      // how many there are
  int64_t embedding_size = 0;  // channels that one becomes
  double dropout = 0;          // part of the embedding that is dropped
  bool tied = false;           // the output's weights are the embedding's
};

// What the data ask of a model, whichever it is.
struct SequenceModelOptions {
  int64_t input_channels = 1;
  int64_t output_size = 1;
  bool every_step = false;  // whether each step has an output, or the last one alone
  bool weight_norm = true;
  DType dtype = float32;
  // Every step has an output, then, and input_channels are those of the embedding.
  std::optional<IndexInput> indices = {};
};

// Of a sequence, what an output depends on: so many elements, of which so many come after its own.
struct SeenOfSequence {
  int64_t receptive_field = 0;
  int64_t look_ahead = 0;
};

// A model that takes sequences (N, input_channels, L) and returns (N, output_size), or
// (N, L, output_size) where every step has an output.
struct SequenceModel {
  std::string name;  // "tcn", as on the command line
  std::string description;
  std::vector<Option> options;  // its own: channels, kernel sizes
  // The values are there for every option, each as its rule wants it.
  std::function<std::unique_ptr<Module>(const SequenceModelOptions&, const OptionValues&)> make;
  std::function<SeenOfSequence(const OptionValues&)> seen;
  // The least number of blocks of its kind whose last output sees a sequence of this length; none
  // where no number does, or where the options give each block its own kernel.
  std::function<std::optional<int64_t>(const OptionValues&, int64_t length)> least_depth;
  // What a checkpoint's tensors tell goes into both; what they do not tell stays as it is.
  // ValueError for a checkpoint of another model.
  std::function<void(const StateDict&, SequenceModelOptions&, OptionValues&)> take_from;
};

// Those of models/, in the order of their names, and then what a program added.
Registry<SequenceModel>& sequence_models();

// Each model's line in sequence_models.cpp; its own file defines it.
SequenceModel tcn_model();

}  // namespace warptape
