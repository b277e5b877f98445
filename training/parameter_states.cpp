#include "training/parameter_states.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "core/check.h"

namespace warptape {

std::string describe(const ParameterState& parameter) {
  return fmt::format("{} of shape {}", parameter.name.empty() ? "a parameter" : parameter.name,
                     parameter.value.shape());
}

void check_each_once(const char* who, const ParameterStates& parameters) {
  std::vector<std::pair<const ParameterState*, size_t>> places;
  places.reserve(parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    check<ValueError>(parameters[i] != nullptr && parameters[i]->value.defined(),
                      "[{}] parameter {} (counted from 0): got an undefined one", who, i);
    places.emplace_back(parameters[i].get(), i);
  }
  std::sort(places.begin(), places.end());
  const auto first = std::adjacent_find(places.begin(), places.end(),
                                        [](auto& a, auto& b) { return a.first == b.first; });
  if (first != places.end()) {
    throw ValueError(fmt::format("[{}] got {} twice, as parameters {} and {} (counted from 0)", who,
                                 describe(*first->first), first->second, std::next(first)->second));
  }
}

void check_parameters(const char* who, const ParameterStates& parameters) {
  check<ValueError>(!parameters.empty(),
                    "[{}] got no parameters: does the module list its members in fields()?", who);
  check_each_once(who, parameters);
  for (const auto& parameter : parameters) {
    check<DTypeError>(is_floating(parameter->value.dtype()), "[{}] {}: got {}, wanted {}", who,
                      describe(*parameter), to_string(parameter->value.dtype()),
                      floating_dtype_names);
  }
}

std::vector<std::string> state_keys(const ParameterStates& parameters) {
  std::map<std::string, int> uses;
  for (const auto& parameter : parameters) {
    ++uses[parameter->name];
  }
  std::vector<std::string> keys;
  for (const auto& parameter : parameters) {
    const bool has_own_name = !parameter->name.empty() && uses[parameter->name] == 1;
    keys.push_back(has_own_name ? parameter->name : std::to_string(keys.size()));
  }
  return keys;
}

}  // namespace warptape
