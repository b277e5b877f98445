#pragma once
// The optimizers that a recipe names. Each is defined in a pair of files in training/optimizers/
// and has a line here and in optimizers.cpp.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/registry.h"
#include "training/optimizers/adam.h"
#include "training/optimizers/rmsprop.h"
#include "training/optimizers/sgd.h"

namespace warptape {

struct OptimizerKind {
  std::string name;
  std::string description;
  std::vector<Option> options;  // "lr" among them
  std::function<std::unique_ptr<Optimizer>(ParameterStates, const OptionValues&)> make;
  // ValueError for what cannot be told from one option alone.
  std::function<void(const OptionValues&, const OptionNames&)> check_options =
      [](const OptionValues&, const OptionNames&) {};
};

// An optimizer T made from T::Options.
template <class T>
OptimizerKind optimizer_kind(const char* name, const char* description,
                             const OptionList<typename T::Options>& list) {
  return {name, description, list.options(),
          [list](ParameterStates parameters, const OptionValues& values) {
            return std::make_unique<T>(std::move(parameters), list.read(values));
          }};
}

Registry<OptimizerKind>& optimizers();

// ValueError names what is wrong with the choice.
std::unique_ptr<Optimizer> make_optimizer(const Choice& choice, ParameterStates parameters);

}  // namespace warptape
