#include "training/evaluate.h"

#include <utility>
#include <vector>

#include "core/check.h"
#include "core/profile.h"
#include "kernels/argmax/argmax.h"
#include "layers/precision.h"
#include "training/plain_nan.h"

namespace warptape {
namespace {

// Remembers the mode of every module, and gives it back.
class ModeScope {
 public:
  explicit ModeScope(Module& model) { remember(model); }
  ~ModeScope() {
    for (const auto& [module, mode] : modes_) {  // outer ones first: train() reaches all below
      module->train(mode);
    }
  }
  ModeScope(const ModeScope&) = delete;
  ModeScope& operator=(const ModeScope&) = delete;

 private:
  void remember(Module& module) {
    struct Visit : Visitor {
      explicit Visit(ModeScope& scope) : scope(scope) {}
      void on_module(const std::string&, Module& child) override { scope.remember(child); }
      ModeScope& scope;
    } visit(*this);
    modes_.emplace_back(&module, module.is_training());
    module.fields(visit);
  }

  std::vector<std::pair<Module*, bool>> modes_;
};

}  // namespace

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

Evaluation evaluate(Module& model, Loader& loader, const Loss& loss,
                    const std::optional<Metric>& metric) {
  const profile::Range range("evaluate");
  const ModeScope modes(model);
  model.eval();
  // Read at the end: until then the host only queues.
  struct Queued {
    Tensor loss;
    Tensor prediction;
    Tensor target;
    int64_t rows;
  };
  std::vector<Queued> batches;
  loader.start(0);
  while (const auto batch = loader.next_batch()) {
    const Tensor output = in_float32(model(batch->input));
    Queued queued{loss(output, batch->target), {}, {}, batch->rows()};
    if (metric) {
      queued.prediction = metric->prediction ? metric->prediction(output, batch->target) : output;
      queued.target = batch->target;
    }
    batches.push_back(std::move(queued));
  }
  double loss_sum = 0;
  double metric_sum = 0;
  double counted = 0;
  for (const Queued& batch : batches) {
    const double count =
        metric && metric->count ? metric->count(batch.target) : static_cast<double>(batch.rows);
    if (count == 0) {  // of which there is no mean
      continue;
    }
    loss_sum += batch.loss.item() * count;
    if (metric) {
      metric_sum += metric->sum_over_rows(batch.prediction, batch.target);
    }
    counted += count;
  }
  check<ValueError>(counted > 0, "[evaluate] got no rows");
  Evaluation result{.loss = plain_nan(loss_sum / counted)};
  if (metric) {
    result.metric = plain_nan(metric_sum / counted);
  }
  return result;
}

Evaluation evaluate_classifier(Module& model, Loader& loader) {
  return evaluate(model, loader, cross_entropy_loss(), accuracy());
}

}  // namespace warptape
