#include "training/study/study.h"

#include <algorithm>
#include <filesystem>
#include <mutex>

#include "core/check.h"
#include "core/parallel.h"
#include "training/file.h"
#include "training/side_by_side.h"
#include "training/study/page.h"

namespace warptape::weight_norm_study {
namespace {

void write_files(const std::string& folder, const Results& results) {
  write_file_atomically(folder + "/results.csv", results.csv(), "study");
  write_file_atomically(folder + "/index.html", study_page(results), "study");
}

// What the whole program has once: the threads of a run, which the bits may depend on.
void set_threads(const StudyPlan& plan) {
  for (const Recipe& recipe : plan.recipes) {
    check<ValueError>(recipe.threads == plan.recipes.front().threads && recipe.threads >= 1,
                      "[study] threads: got {} and {}, wanted the same, 1 or more, of all models",
                      plan.recipes.front().threads, recipe.threads);
    check<ValueError>(recipe.device == plan.recipes.front().device,
                      "[study] device: got {} and {}, wanted the same of all models",
                      escaped(plan.recipes.front().device), escaped(recipe.device));
  }
  set_num_threads(static_cast<int>(plan.recipes.front().threads));
}

}  // namespace

Results run_study(const StudyPlan& plan, const std::string& folder,
                  const StudyRunOptions& options) {
  check<ValueError>(options.jobs >= 1, "[study] jobs: got {}, wanted 1 or more", options.jobs);
  Results results = Results::open(folder, plan);
  set_threads(plan);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check<FileError>(!error, "[study] {}: no folder can be made there: {}", escaped(folder),
                   error.message());
  write_file_atomically(folder + "/plan.json", to_json(plan), "study");
  std::vector<size_t> left;
  for (size_t cell = 0; cell < results.cells().size(); ++cell) {
    if (!results.has(cell)) {
      left.push_back(cell);
    }
  }
  if (results.finished() > 0) {
    write_files(folder, results);
    options.on_cell(results, nullptr);
  }
  std::mutex mutex;
  run_side_by_side(static_cast<int64_t>(left.size()), options.jobs,
                   parse_device(plan.recipes.front().device), [&](int64_t i) {
                     if (options.should_stop()) {
                       return;
                     }
                     const size_t at = left[static_cast<size_t>(i)];
                     const Cell& cell = results.cells()[at];
                     auto rows = run_cell(plan, cell, options.should_stop);
                     if (!rows) {
                       return;
                     }
                     const std::lock_guard lock(mutex);
                     results.add(at, std::move(*rows));
                     write_files(folder, results);
                     options.on_cell(results, &cell);
                   });
  return results;
}

}  // namespace warptape::weight_norm_study
