#pragma once
// Learning rates as a function of the step: nothing is kept, so resuming needs only the step.

#include <cstdint>
#include <optional>
#include <string>

namespace warptape {

enum class ScheduleKind { Constant, Step, Cosine };

struct ScheduleOptions {
  ScheduleKind kind = ScheduleKind::Constant;

  // Step (StepLR): the rate is multiplied by gamma every step_size steps. step_size is required.
  std::optional<int64_t> step_size = {};
  double gamma = 0.1;

  // Cosine (CosineAnnealingLR): the rate falls to min_lr over total_steps steps, its T_max, and
  // stays there. train_classifier takes all steps of its run where none are given.
  std::optional<int64_t> total_steps = {};
  double min_lr = 0;

  // Warm-up (LinearLR), before any of these: the rate rises from lr * warmup_start_factor to lr.
  int64_t warmup_steps = 0;
  double warmup_start_factor = 0.1;
};

// The rate of a step, counted from 0, of a schedule that starts from the rate `lr`. ValueError if
// an option is out of range, or is needed and not given.
double learning_rate_at(const ScheduleOptions& options, double lr, int64_t step);

ScheduleKind parse_schedule(const std::string& name);  // "constant", "step", "cosine"

}  // namespace warptape
