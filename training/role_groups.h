#pragma once
// Parameter groups of optimizers by the role of parameters (layers/parameter_role.h):
//
//   AdamW optimizer(groups_by_role<AdamW::Group>(model), {.lr = 1e-3, .weight_decay = 0.05});
//
// What weight decay does depends on the role. A weight of weight norm is the same for v of any
// length, so decay on v changes no function: it lets the step size grow, as the gradient of v goes
// with 1 / ||v||. Decay on g, or on the scale of a norm, shrinks the function itself.

#include <algorithm>
#include <array>
#include <vector>

#include "layers/parameter_role.h"
#include "training/parameter_states.h"

namespace warptape {

// Options of an optimizer's groups (SGD::Group, say), without parameters. A weight decay that is
// not given is 0 for g, bias and norm, and the optimizer's own for v and other.
template <class Group>
struct RoleOptions {
  Group v = {};
  Group g = {};
  Group bias = {};
  Group norm = {};
  Group other = {};
};

namespace role_groups_detail {

// ValueError for options that have parameters.
void check_options_alone(ParameterRole role, const ParameterStates& parameters);

}  // namespace role_groups_detail

// The groups of a module's parameters. Roles whose options are the same share a group, so that a
// step takes as few launches as can be; no group is empty. Groups with g come before those with v:
// on "cuda" the step of v writes the weight, too, with g as it is by then. Group has parameters and
// an optional weight_decay, and is compared by ==. ValueError for options that have parameters.
template <class Group>
std::vector<Group> groups_by_role(Module& module, RoleOptions<Group> options = {}) {
  struct Kind {
    ParameterRole role;
    Group* options;
    size_t group = 0;
  };
  std::array<Kind, 5> kinds{{{ParameterRole::G, &options.g},
                             {ParameterRole::Bias, &options.bias},
                             {ParameterRole::Norm, &options.norm},
                             {ParameterRole::V, &options.v},
                             {ParameterRole::Other, &options.other}}};
  for (Group* const undecayed : {&options.g, &options.bias, &options.norm}) {
    undecayed->weight_decay = undecayed->weight_decay.value_or(0);
  }
  const std::vector<RoleOfParameter> roles = parameter_roles(module);
  std::vector<Group> distinct;
  for (Kind& kind : kinds) {
    role_groups_detail::check_options_alone(kind.role, kind.options->parameters);
    const auto has_role = [&](const RoleOfParameter& each) { return each.role == kind.role; };
    const auto same = std::find(distinct.begin(), distinct.end(), *kind.options);
    kind.group = static_cast<size_t>(same - distinct.begin());
    if (same == distinct.end() && std::any_of(roles.begin(), roles.end(), has_role)) {
      distinct.push_back(*kind.options);
    }
  }
  for (const RoleOfParameter& each : roles) {
    const auto kind = std::find_if(kinds.begin(), kinds.end(),
                                   [&](const Kind& one) { return one.role == each.role; });
    distinct[kind->group].parameters.push_back(each.parameter);
  }
  return distinct;
}

}  // namespace warptape
