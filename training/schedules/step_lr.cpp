#include "training/schedules/step_lr.h"

#include <cmath>
#include <limits>

#include "core/check.h"
#include "training/schedules.h"

namespace warptape {
namespace {

// What a recipe gives.
struct RecipeOptions {
  int64_t step_epochs = 5;
  double gamma = 0.1;
};

}  // namespace

Schedule step_lr(StepLROptions o) {
  check<ValueError>(o.step_size.has_value() != o.step_epochs.has_value(),
                    "[schedule] step_size, step_epochs: {} given, wanted one of them",
                    o.step_size ? "both were" : "neither was");
  const int64_t given = o.step_size ? *o.step_size : *o.step_epochs;
  check<ValueError>(given >= 1, "[schedule] {}: got {}, wanted 1 or more",
                    o.step_size ? "step_size" : "step_epochs", given);
  check<ValueError>(std::isfinite(o.gamma) && o.gamma > 0,
                    "[schedule] gamma: got {}, wanted a number above 0", o.gamma);
  return [o, given](double lr, const StepOfRun& at) {
    int64_t size = given;
    if (o.step_epochs) {
      check<ValueError>(at.steps_per_epoch >= 1,
                        "[schedule] step_epochs: got a step without the length of its epoch, "
                        "wanted step_size then");
      const bool overflows = __builtin_mul_overflow(given, at.steps_per_epoch, &size);
      size = overflows ? std::numeric_limits<int64_t>::max() : size;
    }
    return lr * std::pow(o.gamma, static_cast<double>(at.step / size));
  };
}

ScheduleKind step_schedule() {
  auto options =
      OptionList<RecipeOptions>()("step_epochs", &RecipeOptions::step_epochs, rules::one_or_more,
                                  "epochs between drops, fewer than the run has")(
          "gamma", &RecipeOptions::gamma, rules::above_zero, "factor of a drop");
  const auto make = [](const RecipeOptions& o) {
    return step_lr({.step_epochs = o.step_epochs, .gamma = o.gamma});
  };
  const auto check_run = [](const RecipeOptions& o, const ScheduledRun& run,
                            const OptionNames& names) {
    check<ValueError>(o.step_epochs < run.epochs,
                      "{} step: got {} epochs between drops ({}), wanted fewer than {} {}",
                      names.in_front("schedule"), o.step_epochs, names("step_epochs"),
                      names("epochs"), run.epochs);
  };
  return schedule_kind("step", "drops after so many epochs", options, make, check_run);
}

}  // namespace warptape
