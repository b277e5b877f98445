#pragma once
#include <utility>
#include <vector>

#include "layers/module.h"

namespace warptape {

// Remembers the mode of a model and of every module below it, and gives it back.
class ModeScope {
 public:
  explicit ModeScope(Module& model) { remember(model); }
  ~ModeScope();
  ModeScope(const ModeScope&) = delete;
  ModeScope& operator=(const ModeScope&) = delete;

 private:
  void remember(Module& module);

  std::vector<std::pair<Module*, bool>> modes_;
};

}  // namespace warptape
