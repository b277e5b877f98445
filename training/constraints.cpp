#include "training/constraints.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "core/check.h"
#include "core/primitives.h"
#include "kernels/weight_norm/weight_norm.h"

namespace warptape {
namespace {

constexpr std::array<const char*, constraints> names_of_constraints = {"none", "unit_rows",
                                                                       "fixed_radius"};
constexpr const char* constraint_key = "constraint";

}  // namespace

const char* to_string(Constraint constraint) {
  return names_of_constraints[static_cast<size_t>(constraint)];
}

Constraint constraint_named(const std::string& name) {
  const auto found = std::find(names_of_constraints.begin(), names_of_constraints.end(), name);
  check<ValueError>(found != names_of_constraints.end(),
                    "[constraint] got \"{}\", wanted none, unit_rows or fixed_radius", name);
  return static_cast<Constraint>(std::distance(names_of_constraints.begin(), found));
}

OptimizerOption constraint_option(Constraint constraint) {
  return {constraint_key, static_cast<double>(constraint), 0, constraints};
}

Constraint constraint_of(const OptimizerOptions& options) {
  const auto found = std::find_if(options.begin(), options.end(), [](const auto& option) {
    return std::string_view(option.name) == constraint_key;
  });
  return found == options.end() ? Constraint::None
                                : static_cast<Constraint>(static_cast<int>(found->value));
}

void Optimizer::check_constraints(const std::vector<GroupState>& groups) const {
  for (const Entry& entry : entries_) {
    const Constraint constraint = constraint_of(groups[entry.group].options);
    check<ValueError>(constraint == Constraint::None || entry.parameter->value.rank() >= 2,
                      "[{}] constraint {}: got {}, wanted 2 dimensions or more; give it a group "
                      "without a constraint",
                      name_, to_string(constraint), describe(*entry.parameter));
  }
}

void Optimizer::project() {
  for (const Entry& entry : entries_) {
    ParameterState& parameter = *entry.parameter;
    if (constraint_of(groups_[entry.group].options) != Constraint::UnitRows ||
        !parameter.requires_grad || parameter.value.numel() == 0) {
      continue;
    }
    const Tensor value = parameter.value.detach();
    std::vector<int64_t> one_per_row(static_cast<size_t>(value.rank()), 1);
    one_per_row[0] = value.size(0);
    const Tensor radius = Tensor::full(Shape(one_per_row), 1, value.dtype(), value.device());
    primitives::copy(weight_norm(value, radius), parameter.value);
  }
}

}  // namespace warptape
