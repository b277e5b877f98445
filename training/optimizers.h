#pragma once
// The optimizers that a recipe names. Each is defined in a pair of files in training/optimizers/
// and has a line here and in optimizers.cpp.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/registry.h"
#include "training/optimizers/adam.h"
#include "training/optimizers/muon.h"
#include "training/optimizers/rmsprop.h"
#include "training/optimizers/sgd.h"

namespace warptape {

// Parameters of an optimizer that a recipe names.
struct ParameterGroup {
  ParameterStates parameters = {};
  std::optional<double> weight_decay = {};  // in place of the optimizer's
  bool operator==(const ParameterGroup&) const = default;
};

struct OptimizerKind {
  std::string name;
  std::string description;
  std::vector<Option> options;  // "lr" among them
  std::function<std::unique_ptr<Optimizer>(std::vector<ParameterGroup>, const OptionValues&)> make;
  // ValueError for what cannot be told from one option alone.
  std::function<void(const OptionValues&, const OptionNames&)> check_options =
      [](const OptionValues&, const OptionNames&) {};
};

// An optimizer T made from T::Options and groups T::Group.
template <class T>
OptimizerKind optimizer_kind(const char* name, const char* description,
                             const OptionList<typename T::Options>& list) {
  return {name, description, list.options(),
          [list](std::vector<ParameterGroup> groups, const OptionValues& values) {
            std::vector<typename T::Group> own;
            for (ParameterGroup& group : groups) {
              own.push_back(
                  {.parameters = std::move(group.parameters), .weight_decay = group.weight_decay});
            }
            return std::make_unique<T>(std::move(own), list.read(values));
          }};
}

Registry<OptimizerKind>& optimizers();

// ValueError names what is wrong with the choice.
std::unique_ptr<Optimizer> make_optimizer(const Choice& choice, ParameterStates parameters);

// Of all parameters of a model. The weight decay of the choice, if it has one, acts on weights, v
// of weight norm among them, and not on g, biases and norms (groups_by_role); without decay there
// is one group.
std::unique_ptr<Optimizer> make_optimizer_by_role(const Choice& choice, Module& model);

}  // namespace warptape
