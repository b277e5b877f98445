#pragma once
#include <map>
#include <string>
#include <vector>

#include "training/study/cell.h"
#include "training/study/plan.h"

namespace warptape::weight_norm_study {

// What the cells of a plan gave so far.
class Results {
 public:
  explicit Results(StudyPlan plan);  // ValueError as check_plan

  // Of a folder: its plan.json and results.csv, where they are there. Cells whose rows are not
  // whole count as not run. FileError for files of another plan, naming what differs.
  static Results open(const std::string& folder, const StudyPlan& plan);

  const StudyPlan& plan() const { return plan_; }
  const std::vector<Cell>& cells() const { return cells_; }
  bool has(size_t cell) const { return rows_.contains(cell); }
  size_t finished() const { return rows_.size(); }
  const std::vector<EpochRow>& rows(size_t cell) const { return rows_.at(cell); }
  void add(size_t cell, std::vector<EpochRow> rows) { rows_[cell] = std::move(rows); }

  // A line of names, and a line per epoch of every cell that has run, in the order of the plan. An
  // empty field is a number that there is not.
  std::string csv() const;

 private:
  void read_csv_rows(const std::string& path);

  StudyPlan plan_;
  std::vector<Cell> cells_;
  std::map<size_t, std::vector<EpochRow>> rows_;  // by cell
};

}  // namespace warptape::weight_norm_study
