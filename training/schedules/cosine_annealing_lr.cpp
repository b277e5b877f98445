#include "training/schedules/cosine_annealing_lr.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.h"
#include "training/schedules.h"

namespace warptape {
namespace {

// What a recipe gives.
struct RecipeOptions {
  double min_lr = 0;
};

}  // namespace

Schedule cosine_annealing_lr(CosineAnnealingLROptions o) {
  check<ValueError>(!o.total_steps || *o.total_steps >= 1,
                    "[schedule] total_steps: got {}, wanted 1 or more", o.total_steps.value_or(0));
  check<ValueError>(std::isfinite(o.min_lr) && o.min_lr >= 0,
                    "[schedule] min_lr: got {}, wanted a number of 0 or more", o.min_lr);
  return [o](double lr, const StepOfRun& at) {
    check<ValueError>(o.min_lr <= lr, "[schedule] min_lr: got {}, wanted 0 to {}", o.min_lr, lr);
    const int64_t total = o.total_steps.value_or(at.total_steps);
    check<ValueError>(total >= 1,
                      "[schedule] total_steps: not given, nor is the length of the run; wanted 1 "
                      "or more");
    const double progress =
        static_cast<double>(std::min(at.step, total)) / static_cast<double>(total);
    return o.min_lr + (lr - o.min_lr) * (1 + std::cos(std::numbers::pi * progress)) / 2;
  };
}

ScheduleKind cosine_schedule() {
  auto options = OptionList<RecipeOptions>()("min_lr", &RecipeOptions::min_lr, rules::zero_or_more,
                                             "where it ends, at most the learning rate");
  const auto make = [](const RecipeOptions& o) {
    return cosine_annealing_lr({.min_lr = o.min_lr});
  };
  const auto check_run = [](const RecipeOptions& o, const ScheduledRun& run,
                            const OptionNames& names) {
    check<ValueError>(o.min_lr <= run.lr, "{} {}: got {} {}, wanted at least as much",
                      names.in_front("min_lr"), o.min_lr, names("lr"), run.lr);
  };
  return schedule_kind("cosine", "falls as half a cosine over the whole run", options, make,
                       check_run);
}

}  // namespace warptape
