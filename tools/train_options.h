#pragma once
#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "tools/commands.h"
#include "training/recipe.h"

namespace warptape::tools {

// The command line of `warptape train`: a recipe, as far as it is given.
struct TrainOptions {
  Recipe recipe;
  std::optional<int64_t> classes;
  std::vector<const CLI::Option*> of_images;  // those that no other task has
  bool no_shuffle = false;
  bool no_weight_norm = false;
  std::string data_on_device = "auto";
  std::string out;
  std::string resume;
  std::string graph = "auto";
  bool verbose = false;
  MachineOptions machine;
};

void add_options(CLI::App& command, TrainOptions& options);

// The folder of the shipped digits: where `cmake --install` puts them, beside the source that this
// program was built from, or under the current folder.
std::string shipped_digits();

// The recipe of a new run, on this device. ValueError for options of which one says that another
// does not apply.
Recipe make_recipe(const TrainOptions& options, Device device);

// ValueError for what cannot be told from the command line alone, before a device is looked for.
void check_combinations(const TrainOptions& options);

}  // namespace warptape::tools
