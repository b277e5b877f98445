#pragma once
// How a cost sheet is shown.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tools/cost_sheet.h"
#include "tools/machine_model.h"

namespace warptape::tools {

// A row per launch, sums, and where the figures come from. machine: adds predicted times, or null.
std::string to_text(const CostSheet& sheet, const MachineModel* machine);

nlohmann::ordered_json json_of(const std::vector<LaunchCost>& launches);
nlohmann::ordered_json json_of(const CostSheet& sheet, const MachineModel* machine);

}  // namespace warptape::tools
