#pragma once
// What a person sees while training: a bar that moves on a terminal, short plain lines on one that
// is narrow or cannot move, the rows of a table where output is piped.

#include <cstdint>
#include <string>
#include <vector>

#include "training/run_folder.h"
#include "training/terminal.h"

namespace warptape {

class Progress {
 public:
  Progress(int64_t epochs, int64_t steps_per_epoch, RunColumns columns);
  void on_step(const StepMetrics& step);
  void on_epoch(const EpochMetrics& epoch);

 private:
  struct Column {
    std::string name;
    double value;
  };
  std::vector<Column> columns_of(const EpochMetrics& epoch) const;
  std::string table_row(const EpochMetrics& epoch) const;
  std::string short_lines(const EpochMetrics& epoch) const;

  int64_t epochs_;
  int64_t steps_per_epoch_;
  RunColumns columns_;
  Terminal terminal_;
  bool is_table_;
  bool has_bar_;
};

}  // namespace warptape
