#pragma once
// Learning rates as a function of the step: nothing is kept, so resuming needs only the step.

#include <cstdint>
#include <string>

namespace warptape {

enum class ScheduleKind { Constant, Step, Cosine };

struct ScheduleOptions {
  ScheduleKind kind = ScheduleKind::Constant;
  double lr = 1e-3;
  int64_t step_size = 1;  // Step: times gamma every step_size steps (torch StepLR)
  double gamma = 0.1;
  int64_t total_steps =
      1;              // Cosine: steps after the warm-up until min_lr (CosineAnnealingLR's T_max)
  double min_lr = 0;  // Cosine: stays there afterwards
  int64_t warmup_steps = 0;  // linear from lr * warmup_start_factor (LinearLR); the schedule
  double warmup_start_factor = 0.1;  // proper starts after it
};

// step counts from 0. ValueError if an option is out of range.
double learning_rate_at(const ScheduleOptions& options, int64_t step);

ScheduleKind parse_schedule(const std::string& name);  // "constant", "step", "cosine"

}  // namespace warptape
