#pragma once
// What a person sees while training: a bar that moves on a terminal, short plain lines on one that
// is narrow or cannot move, the rows of a table where output is piped.

#include <cstdint>

#include "tools/terminal.h"
#include "training/trainer.h"

namespace warptape::tools {

class Progress {
 public:
  Progress(int64_t epochs, int64_t steps_per_epoch, bool with_validation);
  void on_step(const StepMetrics& step);
  void on_epoch(const EpochMetrics& epoch, bool is_best);

 private:
  std::string table_row(const EpochMetrics& epoch, bool is_best) const;
  std::string short_lines(const EpochMetrics& epoch, bool is_best) const;

  int64_t epochs_;
  int64_t steps_per_epoch_;
  Terminal terminal_;
  bool is_table_;
  bool has_bar_;
};

}  // namespace warptape::tools
