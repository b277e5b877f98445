#pragma once
// How the numbers of a task's files become the input of a model that was trained for it, as a
// checkpoint says.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "training/safetensors.h"

namespace warptape {

// (value / unit - mean) / std
struct ChannelScale {
  double unit = 1;
  double mean = 0;
  double std = 1;

  double scaled(double value) const { return (value / unit - mean) / std; }
};

// By which all these values together have mean 0 and deviation 1; of those that do not vary the
// deviation stays 0.
ChannelScale scale_of(const std::vector<std::span<const double>>& parts);

struct TaskInput {
  std::vector<ChannelScale> channels = {};  // of each; empty: numbers are taken as they are
  bool by_sequence = false;                 // each channel of each sequence has a scale of its own
  // Step t of the input is step order[t] of the sequence, as a seed gives it, of so many steps;
  // 0: the same step, of any number.
  int64_t order_seed = 0;
  int64_t order_steps = 0;

  // Whether a step of the input is known once that step of the sequence is.
  bool is_step_by_step() const { return !by_sequence && order_seed == 0; }
  // Of the task, "--normalise series": what is not step by step, or empty.
  std::string needs_whole_sequence() const;
};

// As the metadata say: series (SeriesMetadata), pixels (PixelMetadata); all others are taken as
// they are. FileError with the path for metadata that are none.
TaskInput task_input(const NamedTensors& checkpoint, const std::string& path);

// x: whole sequences (N, C, L) of floating-point numbers, on the CPU. ValueError where the order is
// of another number of steps; there is a scale for every channel, or none.
Tensor model_input(const Tensor& x, const TaskInput& input, DType dtype);

}  // namespace warptape
