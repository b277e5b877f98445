#include "training/trainer.h"

#include <chrono>
#include <cmath>
#include <deque>
#include <utility>

#include "core/profile.h"
#include "core/tape.h"
#include "kernels/argmax/argmax.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "training/scalar_reader.h"

namespace warptape {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// A step that may still be under way on the device.
struct QueuedStep {
  StepMetrics metrics;  // but for loss and gradient norm
  int64_t images = 0;
};

// Reports steps in their order: to the caller, and to the epoch's loss. Where the device works
// behind the host a step is reported when the next one has been queued, so that neither waits for
// the other; numbers and order are the same.
class StepReports {
 public:
  StepReports(Device device, const TrainingCallbacks& callbacks)
      : reader_(ScalarReader::make(device)), callbacks_(callbacks) {}

  void add(const QueuedStep& step, const Tensor& loss, const Tensor& gradient_norm) {
    steps_.push_back(step);
    reader_->push({loss, gradient_norm});
    while (reader_->waiting() > reader_->worth_waiting()) {
      report_oldest();
    }
  }

  // Reports what is left; the sum of losses, each times its images, since the last time.
  double finish() {
    while (reader_->waiting() > 0) {
      report_oldest();
    }
    return std::exchange(loss_sum_, 0);
  }

 private:
  void report_oldest() {
    QueuedStep step = std::move(steps_.front());
    steps_.pop_front();
    const std::vector<double> values = reader_->pop();
    step.metrics.loss = values[0];
    step.metrics.gradient_norm = values[1];
    callbacks_.on_step(step.metrics);
    check(std::isfinite(step.metrics.loss),
          "[train] step {}: the loss is {}; try a lower learning rate than {}, or clipping",
          step.metrics.step, step.metrics.loss, step.metrics.learning_rate);
    loss_sum_ += step.metrics.loss * static_cast<double>(step.images);
  }

  std::unique_ptr<ScalarReader> reader_;
  const TrainingCallbacks& callbacks_;
  std::deque<QueuedStep> steps_;
  double loss_sum_ = 0;
};

// Queues one step of the rule.
void take_step(Module& model, Optimizer& optimizer, const ParameterStates& states,
               const ImageBatch& batch, const TrainingOptions& options, QueuedStep step,
               StepReports& reports) {
  optimizer.zero_grad();
  Tape tape;
  const Tensor loss = cross_entropy(model(batch.images), batch.labels);
  tape.backward(loss);
  const Tensor norm = options.clip_norm ? queue_clip_grad_norm(states, *options.clip_norm)
                                        : queue_grad_norm(states);
  optimizer.step();
  step.images = batch.labels.numel();
  step.metrics.learning_rate = optimizer.learning_rate();
  reports.add(step, loss, norm);
}

}  // namespace

bool EpochMetrics::is_better_than(const EpochMetrics& other) const {
  const Evaluation& own = deciding();
  const Evaluation& best = other.deciding();
  return own.accuracy > best.accuracy || (own.accuracy == best.accuracy && own.loss < best.loss);
}

Evaluation evaluate(Module& model, ImageLoader& loader) {
  const profile::Range range("evaluate");
  const bool was_training = model.is_training();
  model.eval();
  // Read at the end: until then the host only queues.
  std::vector<Tensor> losses;
  std::vector<Tensor> predictions;
  std::vector<Tensor> labels;
  loader.start(0);
  while (const auto batch = loader.next()) {
    const Tensor logits = model(batch->images);
    losses.push_back(cross_entropy(logits, batch->labels, {.reduction = Reduction::Sum}));
    predictions.push_back(argmax(logits, 1));
    labels.push_back(batch->labels);
  }
  model.train(was_training);
  Evaluation result;
  int64_t images = 0;
  for (size_t batch = 0; batch < losses.size(); ++batch) {
    result.loss += losses[batch].item();
    const std::vector<int64_t> predicted = predictions[batch].to_vector<int64_t>();
    const std::vector<int64_t> wanted = labels[batch].to_vector<int64_t>();
    for (size_t i = 0; i < wanted.size(); ++i) {
      result.accuracy += predicted[i] == wanted[i] ? 1 : 0;
    }
    images += static_cast<int64_t>(wanted.size());
  }
  check<ValueError>(images > 0, "[evaluate] got no images");
  result.loss /= static_cast<double>(images);
  result.accuracy /= static_cast<double>(images);
  return result;
}

EpochMetrics train_classifier(Module& model, Optimizer& optimizer, TrainingData data,
                              const TrainingOptions& options, const TrainingCallbacks& callbacks) {
  check<ValueError>(
      data.train.batches_per_epoch() > 0,
      "[train] got {} training images: not one full batch, and the last one is dropped",
      data.train.size());
  const ParameterStates states = parameters(model);
  check<ValueError>(!states.empty(), "[train] the model has no parameters");
  StepReports reports(states[0]->value.device(), callbacks);
  std::optional<EpochMetrics> best;
  int64_t step = 0;
  bool stop = false;
  for (int64_t epoch = 1; epoch <= options.epochs && !stop; ++epoch) {
    EpochMetrics metrics;
    metrics.epoch = epoch;
    int64_t images = 0;
    model.train();
    const auto start = std::chrono::steady_clock::now();
    data.train.start(static_cast<uint64_t>(epoch));
    while (!stop) {
      const auto batch = data.train.next();
      if (!batch) {
        break;
      }
      const profile::Range range("step");
      optimizer.set_learning_rate(learning_rate_at(options.schedule, step));
      QueuedStep queued;
      queued.metrics.epoch = epoch;
      queued.metrics.step = ++step;
      take_step(model, optimizer, states, *batch, options, queued, reports);
      images += batch->labels.numel();
      stop = (options.max_steps && step >= *options.max_steps) || callbacks.should_stop();
    }
    metrics.train_loss = reports.finish() / static_cast<double>(images);
    metrics.seconds = seconds_since(start);
    metrics.step = step;
    metrics.learning_rate = optimizer.learning_rate();
    metrics.images_per_second = static_cast<double>(images) / metrics.seconds;
    metrics.test = evaluate(model, data.test);
    if (data.validation != nullptr) {
      metrics.validation = evaluate(model, *data.validation);
    }
    if (!best || metrics.is_better_than(*best)) {
      best = metrics;
    }
    callbacks.on_epoch(metrics);
  }
  check<ValueError>(best.has_value(), "[train] epochs: got {}, wanted 1 or more", options.epochs);
  return *best;
}

}  // namespace warptape
