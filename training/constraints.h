#pragma once
// Constraints of optimizers by name and as options.

#include <string>

#include "training/optimizer.h"

namespace warptape {

const char* to_string(Constraint constraint);          // "none", "unit_rows", "fixed_radius"
Constraint constraint_named(const std::string& name);  // ValueError lists the names

// As a group's options hold it: 0, 1 or 2.
OptimizerOption constraint_option(Constraint constraint);
Constraint constraint_of(
    const OptimizerOptions& options);  // None where the rule has no such option

}  // namespace warptape
