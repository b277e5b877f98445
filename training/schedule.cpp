#include "training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace warptape {

namespace {

void check_number(const char* name, double value, double low, double high) {
  check<ValueError>(value >= low && value <= high, "[schedule] {}: got {}, wanted {} to {}", name,
                    value, low, high);
}

// An option that this kind needs.
int64_t needed(const char* name, const std::optional<int64_t>& steps) {
  check<ValueError>(steps.has_value(), "[schedule] {}: not given, wanted 1 or more", name);
  check<ValueError>(*steps >= 1, "[schedule] {}: got {}, wanted 1 or more", name, *steps);
  return *steps;
}

}  // namespace

double learning_rate_at(const ScheduleOptions& o, double lr, int64_t step) {
  check<ValueError>(step >= 0, "[schedule] step: got {}, wanted 0 or more", step);
  check<ValueError>(o.warmup_steps >= 0, "[schedule] warmup_steps: got {}, wanted 0 or more",
                    o.warmup_steps);
  check_number("warmup_start_factor", o.warmup_start_factor, 0, 1);
  const int64_t t = std::max<int64_t>(step - o.warmup_steps, 0);
  double rate = lr;
  if (o.kind == ScheduleKind::Step) {
    const int64_t drops = t / needed("step_size", o.step_size);
    check<ValueError>(std::isfinite(o.gamma) && o.gamma > 0,
                      "[schedule] gamma: got {}, wanted a number above 0", o.gamma);
    rate = lr * std::pow(o.gamma, static_cast<double>(drops));
  } else if (o.kind == ScheduleKind::Cosine) {
    const int64_t total = needed("total_steps", o.total_steps);
    check_number("min_lr", o.min_lr, 0, lr);
    const double progress = static_cast<double>(std::min(t, total)) / static_cast<double>(total);
    rate = o.min_lr + (lr - o.min_lr) * (1 + std::cos(std::numbers::pi * progress)) / 2;
  }
  if (step < o.warmup_steps) {
    const double progress = static_cast<double>(step) / static_cast<double>(o.warmup_steps);
    rate = lr * (o.warmup_start_factor + (1 - o.warmup_start_factor) * progress);
  }
  return rate;
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
