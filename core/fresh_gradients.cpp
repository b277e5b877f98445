#include "core/fresh_gradients.h"

namespace warptape::fresh_gradients {
namespace {

struct Kept {
  std::weak_ptr<ParameterState> parameter;
  const char* op;
  Site site;
};

thread_local std::vector<Kept> kept;

}  // namespace

void add(const std::shared_ptr<ParameterState>& parameter, const char* op, const Site& site) {
  if (parameter->awaits_step) {
    return;
  }
  if (kept.size() == kept.capacity()) {  // no step may ever come: what has died must not pile up
    std::erase_if(kept, [](const Kept& each) { return each.parameter.expired(); });
  }
  parameter->awaits_step = true;
  kept.push_back({parameter, op, site});
}

std::vector<Entry> list() {
  std::vector<Entry> result;
  result.reserve(kept.size());
  for (const Kept& each : kept) {
    if (auto parameter = each.parameter.lock()) {
      result.push_back({std::move(parameter), each.op, each.site});
    }
  }
  return result;
}

void clear() {
  for (const Kept& each : kept) {
    if (const auto parameter = each.parameter.lock()) {
      parameter->awaits_step = false;
    }
  }
  kept.clear();
}

}  // namespace warptape::fresh_gradients
