#pragma once
// Steps that may still be under way on the device, and their numbers once they are read.

#include <deque>
#include <memory>

#include "training/scalar_reader.h"
#include "training/trainer.h"

namespace warptape {

// Reports steps in their order: to the caller, and to the epoch's loss. Where the device works
// behind the host a step is reported when the next one has been queued, so that neither waits for
// the other; numbers and order are the same.
class StepReports {
 public:
  StepReports(Device device, const TrainingCallbacks& callbacks)
      : reader_(ScalarReader::make(device)), callbacks_(callbacks) {}

  // Of steps that were reported by an earlier part of the run.
  void begin_with(double loss_sum) { loss_sum_ = loss_sum; }

  // metrics: but for loss and gradient norm.
  void add(const StepMetrics& metrics, int64_t rows, const QueuedStep& step);

  // Reports what is left; the sum of losses, each times its rows, since the last take(). Error that
  // names the step whose loss is not finite.
  double finish();
  double take();

 private:
  struct Waiting {
    StepMetrics metrics;
    int64_t rows = 0;
  };
  void report_oldest();

  std::unique_ptr<ScalarReader> reader_;
  const TrainingCallbacks& callbacks_;
  std::deque<Waiting> steps_;
  double loss_sum_ = 0;
};

}  // namespace warptape
