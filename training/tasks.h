#pragma once
// What a run can train for, by name. Each task is defined in a file of training/tasks/ and has a
// line here and in tasks.cpp.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/registry.h"
#include "layers/module.h"
#include "training/evaluate.h"
#include "training/loader.h"
#include "training/recipe.h"
#include "training/tensor_dataset.h"
#include "training/train_step.h"

namespace warptape {

// What a run needs of its task: everything but the optimizer.
struct TaskParts {
  std::unique_ptr<Module> model;  // on the CPU
  std::unique_ptr<Loader> train;
  std::unique_ptr<Loader> test;
  std::unique_ptr<Loader> validation;  // none where nothing is split off
  Loss loss;
  std::optional<Metric> metric;
  std::string rows = "images";  // what they are called
  std::string data_kind;        // "IDX"
  std::string data_shape;       // "1x8x8, 10 classes"
  // What PyTorch's wrappers had added to the keys of recipe.init.
  std::vector<std::string> removed_wrappers;
  std::vector<std::string> warnings;  // whole lines, for people
  // Of the model, for whoever uses a checkpoint alone: beside its tensors.
  std::map<std::string, std::string> checkpoint_metadata;
};

struct Task {
  std::string name;  // "adding"
  std::string description;
  std::vector<Option> options;
  bool is_of_images = false;  // else of sequences
  bool reads_data = true;     // recipe.data; else it makes its own
  // What recipe.data names, "a .ts file", where there is no default for it.
  std::string wanted_data = "";
  // Those of its options that are paths, which a command makes absolute.
  std::vector<std::string> path_options = {};
  // Reads or makes the data, and makes the model with manual_seed(recipe.seed). Fills in what the
  // recipe left open. The recipe's choices have been checked.
  std::function<TaskParts(Recipe&, Device)> make;
};

Registry<Task>& tasks();

// The rows that the recipe trains on, and those that it splits off. ValueError for a part of none.
Split split_for(const Recipe& recipe, int64_t rows);

// Each task's line in tasks.cpp; its own file defines it.
Task images_task();
Task adding_task();
Task copy_memory_task();
Task pixel_sequence_task();
Task series_task();
Task char_task();
Task music_task();

}  // namespace warptape
