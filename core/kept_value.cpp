#include "core/kept_value.h"

#include <mutex>
#include <unordered_map>

namespace warptape {
namespace {

struct All {
  std::mutex mutex;
  std::unordered_map<uint64_t, std::weak_ptr<KeptValue>> of_parameters;
};

All& all() {
  static auto* instance = new All;  // outlives every parameter
  return *instance;
}

}  // namespace

KeptValue::~KeptValue() {
  if (parameter_ == 0) {
    return;
  }
  const std::lock_guard lock(all().mutex);
  const auto found = all().of_parameters.find(parameter_);
  if (found != all().of_parameters.end() && found->second.expired()) {
    all().of_parameters.erase(found);
  }
}

std::shared_ptr<KeptValue> KeptValue::of(const ParameterState& parameter) {
  const std::lock_guard lock(all().mutex);
  const auto found = all().of_parameters.find(parameter.id);
  return found == all().of_parameters.end() ? nullptr : found->second.lock();
}

void KeptValue::keep_for(const ParameterState& parameter) {
  const std::weak_ptr<KeptValue> self = weak_from_this();
  if (self.expired()) {
    return;
  }
  const std::lock_guard lock(all().mutex);
  all().of_parameters[parameter.id] = self;
  parameter_ = parameter.id;
}

}  // namespace warptape
