#pragma once
// What a person sees while training: a bar that moves on a terminal, plain lines where output is
// piped.

#include <cstdint>

#include "training/trainer.h"

namespace warptape::tools {

class Progress {
 public:
  Progress(int64_t epochs, int64_t steps_per_epoch, bool with_validation);
  void on_step(const StepMetrics& step);
  void on_epoch(const EpochMetrics& epoch, bool is_best);

 private:
  int64_t epochs_;
  int64_t steps_per_epoch_;
  bool terminal_;
};

}  // namespace warptape::tools
