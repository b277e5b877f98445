#pragma once
// What tests of the tasks series, char and music have in common.

#include <string>
#include <utility>

#include "training/run.h"

namespace warptape {

inline Recipe small_recipe(const std::string& task, const std::string& data,
                           OptionValues options = {}) {
  Recipe recipe;
  recipe.model = {"tcn",
                  {{"channels", std::vector<int64_t>{4, 3}},
                   {"kernel_size", std::vector<int64_t>{3}},
                   {"dropout", 0.0}}};
  recipe.task = {task, std::move(options)};
  recipe.data = data;
  recipe.dtype = "float64";
  recipe.batch_size = 3;
  recipe.epochs = 1;
  recipe.shuffle = false;
  recipe.seed = 3;
  return recipe;
}

inline Batch first_batch(Loader& loader) {
  loader.start(0);
  return loader.next_batch().value();
}

}  // namespace warptape
