#pragma once
// What the runs of a study say of three claims, per model and optimizer: each method beside plain
// weights. Less is better in every number here.

#include <optional>
#include <string>
#include <vector>

#include "training/study/results.h"
#include "training/study/statistics.h"

namespace warptape::weight_norm_study {

// Yes, or no: the whole interval of the difference lies on that side of 0. Open: it holds 0, or
// there is no interval.
enum class Verdict { Yes, No, Open };
const char* to_string(Verdict verdict);

struct Compared {
  std::vector<double> of_seeds = {};                // of the method; NaN where there is none
  double mean = 0;                                  // of those that are finite; NaN for none
  double std = 0;                                   // likewise; NaN below two
  std::optional<PairedDifference> difference = {};  // method - plain; none of plain itself
  Verdict verdict = Verdict::Open;
};

struct MethodSummary {
  Method method = Method::Plain;
  // The one with the fewest diverged runs, then the least mean error at the end (the loss, where
  // there is no error).
  double learning_rate = 0;
  std::vector<size_t> cells = {};  // of that rate, by seeds
  int64_t runs = 0;                // at all rates
  int64_t diverged = 0;
  // Diverged, or no lower loss at the end than before training.
  int64_t failed = 0;
  Compared failures = {};  // stability: per seed, the share of rates at which it failed
  // Speed: the first epoch, at the best rate, whose loss is not above the mean with which plain
  // weights ended at theirs; one more than all epochs where there is none.
  Compared epochs_to_plain = {};
  Compared seconds_per_step = {};  // mean over the epochs
  Compared final_loss = {};        // at the best rate
  Compared final_error = {};       // likewise; accuracy. All NaN where the task has none.
};

struct SubjectAnalysis {
  size_t recipe = 0;
  std::string optimizer;
  bool has_error = false;
  std::vector<MethodSummary> methods = {};  // of which all runs are there, plain first
};

// Of every model and optimizer for which all runs of plain weights are there.
std::vector<SubjectAnalysis> analyse(const Results& results);

}  // namespace warptape::weight_norm_study
