#pragma once
// Learning rates as a function of the step: nothing is kept, so resuming needs only the step.

#include <cstdint>
#include <optional>
#include <string>

namespace warptape {

enum class ScheduleKind { Constant, Step, Cosine };

struct ScheduleOptions {
  ScheduleKind kind = ScheduleKind::Constant;
  std::optional<int64_t> step_size = {};  // Step, required: times gamma every so many (StepLR)
  double gamma = 0.1;
  // Cosine: steps after the warm-up until min_lr (CosineAnnealingLR's T_max). train_classifier
  // takes all steps of its run where none are given.
  std::optional<int64_t> total_steps = {};
  double min_lr = 0;         // Cosine: stays there afterwards
  int64_t warmup_steps = 0;  // linear from lr * warmup_start_factor (LinearLR); the schedule
  double warmup_start_factor = 0.1;  // proper starts after it
};

// The rate of a step, counted from 0, of a schedule that starts from the rate `lr`. ValueError if
// an option is out of range, or is needed and not given.
double learning_rate_at(const ScheduleOptions& options, double lr, int64_t step);

ScheduleKind parse_schedule(const std::string& name);  // "constant", "step", "cosine"

}  // namespace warptape
