#include "training/schedule.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/check.h"

namespace warptape {

Schedule constant_lr() {
  return [](double lr, const StepOfRun&) { return lr; };
}

Schedule with_warmup(Schedule after, WarmupOptions o) {
  check<ValueError>(o.steps >= 0, "[schedule] warmup_steps: got {}, wanted 0 or more", o.steps);
  check<ValueError>(o.start_factor >= 0 && o.start_factor <= 1,
                    "[schedule] warmup_start_factor: got {}, wanted 0 to 1", o.start_factor);
  return [after = std::move(after), o](double lr, StepOfRun at) {
    check<ValueError>(at.total_steps == 0 || o.steps <= at.total_steps,
                      "[schedule] warmup_steps: got {}, wanted no more than the {} steps of the "
                      "run",
                      o.steps, at.total_steps);
    if (at.step < o.steps) {
      const double progress = static_cast<double>(at.step) / static_cast<double>(o.steps);
      return lr * (o.start_factor + (1 - o.start_factor) * progress);
    }
    at.step -= o.steps;
    at.total_steps = at.total_steps == 0 ? 0 : std::max<int64_t>(1, at.total_steps - o.steps);
    return after(lr, at);
  };
}

double learning_rate_at(const Schedule& schedule, double lr, const StepOfRun& at) {
  check<ValueError>(at.step >= 0, "[schedule] step: got {}, wanted 0 or more", at.step);
  const double rate = schedule(lr, at);
  check<ValueError>(std::isfinite(rate) && rate >= 0,
                    "[schedule] step {}: got the rate {}, wanted a finite number of 0 or more",
                    at.step, rate);
  return rate;
}

}  // namespace warptape
