#include "training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace warptape {

double learning_rate_at(const ScheduleOptions& o, int64_t step) {
  check<ValueError>(step >= 0, "[schedule] step: got {}, wanted 0 or more", step);
  check<ValueError>(o.step_size >= 1, "[schedule] step_size: got {}, wanted 1 or more",
                    o.step_size);
  check<ValueError>(o.total_steps >= 1, "[schedule] total_steps: got {}, wanted 1 or more",
                    o.total_steps);
  check<ValueError>(o.warmup_steps >= 0, "[schedule] warmup_steps: got {}, wanted 0 or more",
                    o.warmup_steps);
  if (step < o.warmup_steps) {
    const double progress = static_cast<double>(step) / static_cast<double>(o.warmup_steps);
    return o.lr * (o.warmup_start_factor + (1 - o.warmup_start_factor) * progress);
  }
  const int64_t t = step - o.warmup_steps;
  switch (o.kind) {
    case ScheduleKind::Step: {
      const int64_t drops = t / o.step_size;
      return o.lr * std::pow(o.gamma, static_cast<double>(drops));
    }
    case ScheduleKind::Cosine: {
      const double progress =
          static_cast<double>(std::min(t, o.total_steps)) / static_cast<double>(o.total_steps);
      return o.min_lr + (o.lr - o.min_lr) * (1 + std::cos(std::numbers::pi * progress)) / 2;
    }
    case ScheduleKind::Constant:
      break;
  }
  return o.lr;
}

ScheduleKind parse_schedule(const std::string& name) {
  if (name == "constant") {
    return ScheduleKind::Constant;
  }
  if (name == "step") {
    return ScheduleKind::Step;
  }
  check<ValueError>(name == "cosine", "[schedule] got \"{}\", wanted constant, step or cosine",
                    escaped(name));
  return ScheduleKind::Cosine;
}

}  // namespace warptape
