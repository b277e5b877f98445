#pragma once
// What a parameter is to its layer, by which optimizers may treat it (training/role_groups.h).

#include <memory>
#include <vector>

#include "layers/module.h"

namespace warptape {

//   V: a direction, whose length the weight does not depend on: v of weight norm
//   G: the length of a weight, or of its rows: g of weight norm, DoRA's magnitude
//   Bias: a parameter called bias, of a layer that is no norm
//   Norm: by what a layer that normalises scales and shifts (Module::is_norm)
//   Other: all else; plain weights, embeddings
enum class ParameterRole { V, G, Bias, Norm, Other };

const char* to_string(ParameterRole role);  // "v", "g", "bias", "norm", "other"

struct RoleOfParameter {
  std::shared_ptr<ParameterState> parameter;
  ParameterRole role;
};

// parameters(module), each with its role. One that several modules share has the role that it has
// under its first name.
std::vector<RoleOfParameter> parameter_roles(Module& module);

}  // namespace warptape
