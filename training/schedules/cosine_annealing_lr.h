#pragma once
#include <optional>

#include "training/schedule.h"

namespace warptape {

struct CosineAnnealingLROptions {
  std::optional<int64_t> total_steps = {};  // T_max; those of the run where none are given
  double min_lr = 0;                        // eta_min
};
// CosineAnnealingLR: the rate falls to min_lr over total_steps, and stays there. ValueError for
// nonsense, and in the steps of a run whose rate is below min_lr.
Schedule cosine_annealing_lr(CosineAnnealingLROptions options = {});

struct ScheduleKind;
ScheduleKind cosine_schedule();  // as a recipe names it

}  // namespace warptape
