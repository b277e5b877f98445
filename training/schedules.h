#pragma once
// The schedules that a recipe names. Each is defined in a pair of files in training/schedules/ and
// has a line here and in schedules.cpp.

#include <string>
#include <utility>

#include "core/registry.h"
#include "training/schedule.h"
#include "training/schedules/cosine_annealing_lr.h"
#include "training/schedules/one_cycle_lr.h"
#include "training/schedules/step_lr.h"

namespace warptape {

// What of a run decides whether a schedule fits it, before its data are read.
struct ScheduledRun {
  double lr = 0;
  int64_t epochs = 0;
};

struct ScheduleKind {
  std::string name;
  std::string description;
  std::vector<Option> options;
  std::function<Schedule(const OptionValues&)> make;
  // ValueError for what cannot be told from one option alone.
  std::function<void(const OptionValues&, const ScheduledRun&, const OptionNames&)> check_run =
      [](const OptionValues&, const ScheduledRun&, const OptionNames&) {};
};

// make(options): the schedule. check_run(options, run, names): throws where it does not fit the
// run.
template <class Options, class Make, class Check>
ScheduleKind schedule_kind(const char* name, const char* description,
                           const OptionList<Options>& list, Make make, Check check_run) {
  return {
      name, description, list.options(),
      [list, make](const OptionValues& values) { return make(list.read(values)); },
      [list, check_run](const OptionValues& values, const ScheduledRun& run,
                        const OptionNames& names) { check_run(list.read(values), run, names); }};
}

Registry<ScheduleKind>& schedules();

// ValueError names what is wrong with the choice.
Schedule make_schedule(const Choice& choice);

}  // namespace warptape
