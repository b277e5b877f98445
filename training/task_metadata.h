#pragma once
// What a checkpoint says of the task that its model was trained for, as far as whoever uses the
// model needs it: JSON in its metadata, under task_metadata_key.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "training/safetensors.h"
#include "training/ts_file.h"

namespace warptape {

// How series become the input of a model, and its outputs their class.
struct SeriesMetadata {
  std::vector<std::string> classes;  // in the order of the outputs
  std::string pooling = "last";      // or "mean": which steps of a series its class is told by
  std::string normalise = "none";    // or "series", or "channel", by these:
  std::string missing = "refuse";    // or "previous": what stands for missing values
  std::vector<double> mean = {};     // one per channel
  std::vector<double> std = {};      // likewise
};

// Of characters: the code points, in the order of the indices.
struct CharMetadata {
  std::vector<uint32_t> vocabulary;
};

// Of images read pixel by pixel: how pixels become the input, (pixel / 255 - mean) / std of each
// channel, and in which order.
struct PixelMetadata {
  std::vector<double> mean;
  std::vector<double> std;
  int64_t permute = 0;  // seed of the order; 0: line by line
  int64_t steps = 0;    // pixels of an image
};

std::string to_json(const SeriesMetadata& metadata);
std::string to_json(const PixelMetadata& metadata);
std::string to_json(const CharMetadata& metadata);

// Nothing where the checkpoint is not of such a task. FileError with the path for what is none.
std::optional<SeriesMetadata> series_metadata(const NamedTensors& checkpoint,
                                              const std::string& path);
std::optional<PixelMetadata> pixel_metadata(const NamedTensors& checkpoint,
                                            const std::string& path);
std::optional<CharMetadata> char_metadata(const NamedTensors& checkpoint, const std::string& path);

}  // namespace warptape
