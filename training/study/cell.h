#pragma once
#include <functional>
#include <optional>
#include <vector>

#include "training/study/plan.h"

namespace warptape::weight_norm_study {

// A run after an epoch. NaN where the run had diverged before the number was there.
struct EpochRow {
  int64_t epoch = 0;                 // 0: before training
  double train_loss = 0;             // mean over the epoch's rows; NaN at epoch 0
  double loss = 0;                   // of the evaluation
  std::optional<double> error = {};  // 1 - accuracy, or a metric of which less is better; no metric
                                     // has none
  double gradient_norm = 0;     // of all parameters, mean over the epoch's steps; NaN at epoch 0
  double v_norm = 0;            // ||v||, of plain weights ||w||: mean over the rows
  double effective_step = 0;    // mean over the rows: lr / ||v||^2 of SGD, lr / ||v|| of Adam
  double seconds_per_step = 0;  // of the training part; NaN at epoch 0
  bool diverged = false;        // a loss was not finite; the run ended here
};

// Runs a cell; rows of epochs 0, 1, ... up to the recipe's, or to the one in which it diverged,
// which is a result and no error. The same rows, but for seconds, whatever runs beside it. Nothing
// where it was asked to stop before its end.
std::optional<std::vector<EpochRow>> run_cell(
    const StudyPlan& plan, const Cell& cell,
    const std::function<bool()>& should_stop = [] { return false; });

// Whether these are the rows of a run that came to its end.
bool is_complete(const StudyPlan& plan, const Cell& cell, const std::vector<EpochRow>& rows);

}  // namespace warptape::weight_norm_study
