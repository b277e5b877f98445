#include "tools/step_run.h"

#include <algorithm>

#include "core/profile.h"
#include "core/random.h"
#include "layers/precision.h"

namespace warptape::tools {
namespace {

// What is made before the first step, under names of their own in a memory profile.
StepParts make_parts(const StepCase& step_case, int64_t batch_size, const std::string& precision,
                     Device device) {
  const profile::Range range("model");
  manual_seed(0);
  StepParts parts = step_case.make(batch_size);
  parts.model->to(device);
  set_precision(*parts.model, precision);
  return parts;
}

Batch moved_to(const Batch& batch, Device device) {
  const profile::Range range("batch");
  return {batch.input.to(device), batch.target.to(device)};
}

}  // namespace

StepRun::StepRun(const StepCase& step_case, int64_t batch_size, const std::string& precision,
                 Device device)
    : parts_(make_parts(step_case, batch_size, precision, device)),
      states_(parameters(*parts_.model)),
      optimizer_(parts_.make_optimizer(states_)),
      batch_(moved_to(parts_.batch, device)),
      losses_(ScalarReader::make(device)) {}

void StepRun::wait_for_all_but(size_t steps) {
  while (losses_->waiting() > steps) {
    losses_->pop();
    ends_.push_back(Clock::now());
  }
}

void StepRun::queue() {
  const QueuedStep queued = train_step(*parts_.model, *optimizer_, states_, batch_, parts_.loss);
  losses_->push({queued.loss, queued.gradient_norm});
  wait_for_all_but(losses_->worth_waiting());
}

void StepRun::finish() {
  wait_for_all_but(0);
}

std::vector<double> StepRun::times_ms(int64_t without) const {
  std::vector<double> times;
  for (size_t i = static_cast<size_t>(std::max<int64_t>(without, 1)); i < ends_.size(); ++i) {
    times.push_back(std::chrono::duration<double, std::milli>(ends_[i] - ends_[i - 1]).count());
  }
  return times;
}

}  // namespace warptape::tools
