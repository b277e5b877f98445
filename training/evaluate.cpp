#include "training/evaluate.h"

#include <utility>
#include <vector>

#include "core/check.h"
#include "core/profile.h"
#include "kernels/argmax/argmax.h"
#include "layers/mode_scope.h"
#include "layers/precision.h"
#include "training/plain_nan.h"

namespace warptape {

Metric accuracy() {
  const auto count_right = [](const Tensor& prediction, const Tensor& target) {
    const std::vector<int64_t> predicted = prediction.to_vector<int64_t>();
    const std::vector<int64_t> wanted = target.to_vector<int64_t>();
    int64_t right = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      right += predicted[i] == wanted[i] ? 1 : 0;
    }
    return static_cast<double>(right);
  };
  return {.name = "accuracy",
          .sum_over_rows = count_right,
          .prediction = [](const Tensor& logits, const Tensor&) { return argmax(logits, 1); }};
}

namespace {

// Of a batch: the loss, and with a metric what is kept of the output, and the target.
std::vector<Tensor> evaluate_batch(Module& model, const Batch& batch, const Loss& loss,
                                   const std::optional<Metric>& metric) {
  const Tensor output = in_float32(model(batch.input));
  std::vector<Tensor> results{loss(output, batch.target)};
  if (metric) {
    results.push_back(metric->prediction ? metric->prediction(output, batch.target) : output);
    results.push_back(batch.target);
  }
  return results;
}

}  // namespace

Evaluation evaluate(Module& model, Loader& loader, const Loss& loss,
                    const std::optional<Metric>& metric) {
  return Evaluator(model, loss, metric, {}).evaluate(loader);
}

Evaluator::Evaluator(Module& model, const Loss& loss, const std::optional<Metric>& metric,
                     const GraphOptions& graph)
    : model_(model),
      metric_(metric),
      states_(parameters(model)),
      graphs_(
          {.what = "a batch of an evaluation", .model = model, .states = states_},
          [&model, &loss, &metric](const Batch& batch) {
            return evaluate_batch(model, batch, loss, metric);
          },
          graph) {}

Evaluation Evaluator::evaluate(Loader& loader) {
  const profile::Range range("evaluate");
  const ModeScope modes(model_);
  model_.eval();
  // Read at the end: until then the host only queues.
  struct Queued {
    std::vector<Tensor> results;
    int64_t rows;
  };
  std::vector<Queued> batches;
  loader.start(0);
  while (const auto rows = graphs_.take(loader)) {
    std::vector<Tensor> results = graphs_.run();
    if (graphs_.last_was_replayed()) {  // the next replay overwrites them
      for (Tensor& result : results) {
        result = result.clone();
      }
    }
    batches.push_back({std::move(results), *rows});
  }
  double loss_sum = 0;
  double metric_sum = 0;
  double counted = 0;
  for (const Queued& batch : batches) {
    const double count = metric_ && metric_->count ? metric_->count(batch.results[2])
                                                   : static_cast<double>(batch.rows);
    if (count == 0) {  // of which there is no mean
      continue;
    }
    loss_sum += batch.results[0].item() * count;
    if (metric_) {
      metric_sum += metric_->sum_over_rows(batch.results[1], batch.results[2]);
    }
    counted += count;
  }
  check<ValueError>(counted > 0, "[evaluate] got no rows");
  Evaluation result{.loss = plain_nan(loss_sum / counted)};
  if (metric_) {
    result.metric = plain_nan(metric_sum / counted);
  }
  return result;
}

Evaluation evaluate_classifier(Module& model, Loader& loader) {
  return evaluate(model, loader, cross_entropy_loss(), accuracy());
}

}  // namespace warptape
