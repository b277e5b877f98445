#pragma once
// What all tasks of sequences have in common: a task brings its data and its loss.

#include <map>
#include <optional>
#include <string>

#include "models/sequence_models.h"
#include "training/tasks.h"
#include "training/tensor_dataset.h"

namespace warptape {

struct SequenceData {
  std::string kind;    // "adding problem"
  std::string remark;  // of the data, for people: "predicting 1 throughout scores 0.1667"
  std::string rows = "sequences";  // what they are called
  TensorDataset train;             // inputs (N, C, L) on the CPU, or indices (N, L)
  TensorDataset test;
  // Split off by the task itself; without one some rows of train are, as the recipe says.
  std::optional<TensorDataset> validation = {};
  bool splits_itself = false;
  int64_t output_size = 1;
  bool every_step = false;  // whether there is a target for every step, or one for the sequence
  // Whether who uses the model wants an output for every step, where that is something else.
  std::optional<bool> answers_every_step = {};
  // Of inputs that are indices: how they are embedded.
  std::optional<IndexInput> indices = {};
  Loss loss;
  std::optional<Metric> metric;
  // What a checkpoint says of the task, as JSON; empty: nothing.
  std::string task_metadata = {};
};

// The model of the recipe for these data, and their loaders.
TaskParts make_sequence_parts(Recipe& recipe, Device device, const SequenceData& data);

// An option that is a path, or empty.
inline constexpr Rule<std::string> any_path{"a path", [](const std::string&) { return true; }};
// So many steps at the start of every sequence, which the loss leaves out.
inline constexpr Rule<int64_t> warm_up_steps{
    "a whole number of 0 to 2^24", [](const int64_t& v) { return v >= 0 && v <= (1 << 24); }};
inline constexpr const char* warm_up_help =
    "first steps of a sequence, which count nowhere; of characters windows overlap by them";
inline constexpr const char* test_data_help =
    "test data; without it what lies beside --data with TEST for TRAIN in its name";
// ValueError unless a sequence of so many steps has one behind the warm-up.
void check_warm_up(int64_t warm_up, int64_t steps);

// ValueError where an output of the recipe's model, whose options are complete, sees the steps that
// it is to tell.
void check_is_causal(const Recipe& recipe);

// The file of test data: as the option says, or else the training file's name with TEST for TRAIN.
// ValueError where neither is there.
std::string test_data_path(const std::string& option, const std::string& train);

// The dtype that the recipe trains in: float32 or float64.
DType dtype_of(const Recipe& recipe);

}  // namespace warptape
