#pragma once
// Learning rates as functions of the step: nothing is kept, so going on with a run needs only the
// step. The registry of those that a recipe names is in training/schedules.h.

#include <cstdint>
#include <functional>

namespace warptape {

// A step of a run. A length that is not known is 0.
struct StepOfRun {
  int64_t step = 0;         // from 0
  int64_t total_steps = 0;  // of the whole run
  int64_t steps_per_epoch = 0;
};

// The rate of a step, where the optimizer's own is `lr`.
using Schedule = std::function<double(double lr, const StepOfRun& at)>;

// lr throughout.
Schedule constant_lr();

struct WarmupOptions {
  int64_t steps = 0;
  double start_factor = 0.1;
};
// Warm-up (LinearLR): the rate rises from lr * start_factor to lr. Then comes `after`, as in a run
// that is shorter by these steps. ValueError for nonsense, here and in the steps of a run that has
// fewer steps than these.
Schedule with_warmup(Schedule after, WarmupOptions options);

// ValueError unless the step is 0 or more, and unless the schedule gives a finite rate of 0 or
// more.
double learning_rate_at(const Schedule& schedule, double lr, const StepOfRun& at);

}  // namespace warptape
