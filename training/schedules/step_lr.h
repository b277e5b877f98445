#pragma once
#include <optional>

#include "training/schedule.h"

namespace warptape {

struct StepLROptions {
  // Steps between drops, or epochs: one of them is required.
  std::optional<int64_t> step_size = {};
  std::optional<int64_t> step_epochs = {};
  double gamma = 0.1;
};
// StepLR: the rate is multiplied by gamma every so many steps. ValueError for nonsense.
Schedule step_lr(StepLROptions options);

struct ScheduleKind;
ScheduleKind step_schedule();  // as a recipe names it

}  // namespace warptape
