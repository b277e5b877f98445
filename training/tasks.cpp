#include "training/tasks.h"

#include "core/check.h"

namespace warptape {

Registry<Task>& tasks() {
  static Registry<Task> all("task", {
                                        images_task(),
                                        adding_task(),
                                        copy_memory_task(),
                                        pixel_sequence_task(),
                                        series_task(),
                                        char_task(),
                                        music_task(),
                                    });
  return all;
}

Split split_for(const Recipe& recipe, int64_t rows) {
  try {
    return random_split(rows, recipe.validation, recipe.seed);
  } catch (const ValueError& error) {
    throw ValueError(fmt::format("[train] --validation {}: {}", recipe.validation, error.what()));
  }
}

}  // namespace warptape
