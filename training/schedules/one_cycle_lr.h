#pragma once
#include <optional>

#include "training/schedule.h"

namespace warptape {

struct OneCycleLROptions {
  std::optional<int64_t> total_steps = {};  // those of the run where none are given
  double pct_start = 0.3;                   // the part of them in which the rate rises
  double div_factor = 25;                   // it begins at lr / div_factor
  double final_div_factor = 1e4;            // and ends at that / final_div_factor
};
// OneCycleLR (Smith & Topin 2017, arXiv 1708.07120): the rate rises to the optimizer's own, which
// is max_lr, and falls to nearly nothing, both as half a cosine; it stays there. Momentum is left
// alone, unlike PyTorch's cycle_momentum=True. ValueError for nonsense.
Schedule one_cycle_lr(OneCycleLROptions options = {});

struct ScheduleKind;
ScheduleKind one_cycle_schedule();  // as a recipe names it

}  // namespace warptape
