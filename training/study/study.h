#pragma once
// A study of weight norm: does it make training steadier, faster, or better, and by how much? It
// trains a model in several ways (plan.h), on the same seeds:
//
//   StudyPlan plan{.recipes = {image_recipe("data/digits")}};
//   run_study(plan, "studies/digits", {.jobs = 2});
//
// The folder then has plan.json, results.csv (a line per epoch of every run), and index.html, which
// says what analysis.h makes of them.

#include <functional>
#include <string>

#include "training/study/results.h"

namespace warptape::weight_norm_study {

struct StudyRunOptions {
  int64_t jobs = 1;  // runs side by side
  // After every run, one at a time, and once before the first, without a cell, where some had run.
  std::function<void(const Results&, const Cell*)> on_cell = [](const Results&, const Cell*) {};
  std::function<bool()> should_stop = [] { return false; };
};

// Runs the cells that the folder does not have yet. Files are written again after every one, each
// in one step, so that a study may be stopped at any time, and goes on where it stood. Results do
// not depend on jobs, but for seconds. Sets the number of threads to the recipes' own. FileError
// for a folder of another plan.
Results run_study(const StudyPlan& plan, const std::string& folder,
                  const StudyRunOptions& options = {});

}  // namespace warptape::weight_norm_study
