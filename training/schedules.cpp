#include "training/schedules.h"

namespace warptape {
namespace {

ScheduleKind constant_schedule() {
  return {"constant", "the learning rate throughout", {}, [](const OptionValues&) {
            return constant_lr();
          }};
}

}  // namespace

Registry<ScheduleKind>& schedules() {
  static Registry<ScheduleKind> all("schedule", {
                                                    constant_schedule(),
                                                    step_schedule(),
                                                    cosine_schedule(),
                                                    one_cycle_schedule(),
                                                });
  return all;
}

Schedule make_schedule(const Choice& choice) {
  const OptionValues options = schedules().complete(choice);
  return schedules().find(choice.name).make(options);
}

}  // namespace warptape
