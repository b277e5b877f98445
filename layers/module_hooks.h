#pragma once
// The hooks of one module.

#include <memory>
#include <utility>
#include <vector>

#include "layers/module.h"

namespace warptape {

struct ForwardHooks {
  template <class Hook>
  using List = std::vector<std::pair<uint64_t, Hook>>;  // by their numbers

  uint64_t last_id = 0;
  List<ForwardPreHook> before;
  List<ForwardHook> after;
};

// Hooks of their own for a copy of a module; null for null.
std::shared_ptr<ForwardHooks> copy_of(const std::shared_ptr<ForwardHooks>& hooks);

}  // namespace warptape
