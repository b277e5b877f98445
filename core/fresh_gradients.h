#pragma once
// Which parameters got a gradient since an optimizer made a step or forgot its gradients.
// Optimizers ask, to name those that none of them holds: such a parameter would never train, and
// nothing would say so.

#include <memory>
#include <vector>

#include "core/error.h"
#include "core/parameter.h"

namespace warptape::fresh_gradients {

struct Entry {
  std::shared_ptr<ParameterState> parameter;
  const char* op;  // whose backward gave the gradient
  Site site;       // where that was recorded
};

// By the calling thread's backward passes.
void add(const std::shared_ptr<ParameterState>& parameter, const char* op, const Site& site);
// Those since the last clear() of this thread, of parameters that still exist.
std::vector<Entry> list();
void clear();

}  // namespace warptape::fresh_gradients
