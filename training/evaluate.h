#pragma once
#include <functional>
#include <optional>
#include <string>

#include "layers/module.h"
#include "training/batch_graphs.h"
#include "training/loader.h"
#include "training/train_step.h"

namespace warptape {

// A number beside the loss, which then decides what is best.
struct Metric {
  std::string name;  // "accuracy": of columns
  // Of a batch, summed over what counts in it; all that counts is divided by at the end.
  std::function<double(const Tensor& prediction, const Tensor& target)> sum_over_rows;
  bool higher_is_better = true;
  // What of an output is kept until the end of an evaluation, where numbers are read; the output
  // itself without one.
  std::function<Tensor(const Tensor& output, const Tensor& target)> prediction = {};
  // How much of a batch counts, where that is not its rows: steps of sequences of unequal lengths.
  // The loss of a batch weighs as much, too.
  std::function<double(const Tensor& target)> count = {};
};

// How many rows have their largest logit at the label.
Metric accuracy();

struct Evaluation {
  double loss = 0;  // mean over the rows, or over what the metric counts
  std::optional<double> metric = {};
};

// In evaluation mode; every module has its own mode again afterwards, whatever is thrown.
// ValueError for no rows.
Evaluation evaluate(Module& model, Loader& loader, const Loss& loss,
                    const std::optional<Metric>& metric = {});

// For evaluations that come again and again, as graphs where the options say so. The model, the
// loss and the metric are the same each time, and outlive it.
class Evaluator {
 public:
  Evaluator(Module& model, const Loss& loss, const std::optional<Metric>& metric,
            const GraphOptions& graph);
  Evaluation evaluate(Loader& loader);  // as evaluate()

 private:
  Module& model_;
  const std::optional<Metric>& metric_;
  ParameterStates states_;
  BatchGraphs graphs_;
};

// Mean cross-entropy and accuracy.
Evaluation evaluate_classifier(Module& model, Loader& loader);

}  // namespace warptape
