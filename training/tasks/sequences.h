#pragma once
// What all tasks of sequences have in common: a task brings its data and its loss.

#include <optional>
#include <string>

#include "training/tasks.h"
#include "training/tensor_dataset.h"

namespace warptape {

struct SequenceData {
  std::string kind;     // "adding problem"
  std::string remark;   // of the data, for people: "predicting 1 throughout scores 0.1667"
  TensorDataset train;  // inputs (N, C, L) on the CPU
  TensorDataset test;
  int64_t output_size = 1;
  bool every_step = false;  // whether there is a target for every step, or one for the sequence
  Loss loss;
  std::optional<Metric> metric;
};

// The model of the recipe for these data, and their loaders.
TaskParts make_sequence_parts(Recipe& recipe, Device device, const SequenceData& data);

// The dtype that the recipe trains in: float32 or float64.
DType dtype_of(const Recipe& recipe);

}  // namespace warptape
