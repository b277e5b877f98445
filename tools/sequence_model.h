#pragma once
// A sequence model from a checkpoint, with what the checkpoint says of its task: what predict,
// inspect, stream and sample begin with.

#include <memory>
#include <optional>
#include <string>

#include "layers/module.h"
#include "training/sequence_checkpoint.h"
#include "training/task_input.h"
#include "training/task_metadata.h"

namespace warptape::tools {

struct LoadedSequenceModel {
  std::string path;
  SequenceModelOptions general;
  OptionValues own;                // all of them
  std::unique_ptr<Module> module;  // on the CPU, in eval()
  TaskInput input;
  std::optional<SeriesMetadata> series;
  std::optional<PixelMetadata> pixels;
  std::optional<CharMetadata> characters;

  // Whether its answer to a sequence is the mean of what it gives for the steps.
  bool is_mean_of_steps() const { return series && series->pooling == "mean"; }
  // "series, 9 classes; normalised by channel; the mean over steps tells the class", or empty.
  std::string task() const;
};

// who: the command, "predict". every_step: an output for every step, whatever the checkpoint says.
// own: options that are another thing than the checkpoint says. FileError or ValueError with the
// path for what is no checkpoint of this model, and for one whose tensors and metadata differ.
struct SequenceModelRequest {
  const char* who;
  std::string model = "tcn";
  bool every_step = false;
  OptionValues own = {};
};
LoadedSequenceModel load_sequence_model(const std::string& path,
                                        const SequenceModelRequest& request);

}  // namespace warptape::tools
