#include "training/schedules/one_cycle_lr.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.h"
#include "training/schedules.h"

namespace warptape {
namespace {

constexpr Rule<double> one_or_larger{"a number of 1 or more",
                                     [](const double& v) { return v >= 1 && std::isfinite(v); }};
constexpr Rule<double> inner_part{"a number above 0 and below 1",
                                  [](const double& v) { return v > 0 && v < 1; }};

// What a recipe gives.
struct RecipeOptions {
  double pct_start = OneCycleLROptions().pct_start;
  double div_factor = OneCycleLROptions().div_factor;
  double final_div_factor = OneCycleLROptions().final_div_factor;
};

// Half a cosine from one rate to another; part: from 0 to 1.
double between(double from, double to, double part) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * part)) / 2;
}

template <class T>
void check_option(const char* name, const T& value, const Rule<T>& rule) {
  check<ValueError>(rule.accepts(value), "[schedule] {}: got {}, wanted {}", name, value,
                    rule.wanted);
}

}  // namespace

Schedule one_cycle_lr(OneCycleLROptions o) {
  check<ValueError>(!o.total_steps || *o.total_steps >= 1,
                    "[schedule] total_steps: got {}, wanted 1 or more", o.total_steps.value_or(0));
  check_option("pct_start", o.pct_start, inner_part);
  check_option("div_factor", o.div_factor, one_or_larger);
  check_option("final_div_factor", o.final_div_factor, one_or_larger);
  return [o](double lr, const StepOfRun& at) {
    const int64_t total = o.total_steps.value_or(at.total_steps);
    check<ValueError>(total >= 1,
                      "[schedule] total_steps: not given, nor is the length of the run; wanted 1 "
                      "or more");
    const double first = lr / o.div_factor;
    const double last = first / o.final_div_factor;
    const auto end = static_cast<double>(total - 1);
    const double top = o.pct_start * static_cast<double>(total) - 1;  // the step of the rate lr
    const double step = std::min(static_cast<double>(at.step), end);
    if (step <= top) {
      return between(first, lr, top > 0 ? step / top : 1);
    }
    return between(lr, last, end > top ? (step - top) / (end - top) : 1);
  };
}

ScheduleKind one_cycle_schedule() {
  auto options = OptionList<RecipeOptions>()("pct_start", &RecipeOptions::pct_start, inner_part,
                                             "part of the run in which the rate rises to lr")(
      "div_factor", &RecipeOptions::div_factor, one_or_larger, "it begins at lr / div-factor")(
      "final_div_factor", &RecipeOptions::final_div_factor, one_or_larger,
      "it ends at its beginning / final-div-factor");
  const auto make = [](const RecipeOptions& o) {
    return one_cycle_lr({.pct_start = o.pct_start,
                         .div_factor = o.div_factor,
                         .final_div_factor = o.final_div_factor});
  };
  const auto check_run = [](const RecipeOptions&, const ScheduledRun&, const OptionNames&) {};
  return schedule_kind("one_cycle", "rises and falls once over the whole run", options, make,
                       check_run);
}

}  // namespace warptape
