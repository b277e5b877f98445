#include "training/role_groups.h"

#include "core/check.h"

namespace warptape::role_groups_detail {

void check_options_alone(ParameterRole role, const ParameterStates& parameters) {
  check<ValueError>(parameters.empty(),
                    "[groups_by_role] {}: got options with {} parameters, wanted none: they are "
                    "the module's",
                    to_string(role), parameters.size());
}

}  // namespace warptape::role_groups_detail
