#pragma once
// What all who hold the states of parameters ask of them: optimizers and averages.

#include <memory>
#include <string>
#include <vector>

#include "core/parameter.h"

namespace warptape {

using ParameterStates = std::vector<std::shared_ptr<ParameterState>>;

// "conv1.weight of shape (8, 3, 3, 3)"; "a parameter of shape ..." where no module has listed it.
std::string describe(const ParameterState& parameter);

// ValueError "[who] ..." for an undefined parameter, and for one that is there twice.
void check_each_once(const char* who, const ParameterStates& parameters);

// The same, and for no parameters at all; DTypeError for one that holds no floats.
void check_parameters(const char* who, const ParameterStates& parameters);

// Names for state dicts: a parameter's path in the module, or its number where it has none or
// shares it.
std::vector<std::string> state_keys(const ParameterStates& parameters);

}  // namespace warptape
