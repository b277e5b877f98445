#include "training/trainer.h"

#include <chrono>
#include <cmath>

#include "core/profile.h"
#include "core/tape.h"
#include "kernels/argmax/argmax.h"
#include "kernels/cross_entropy/cross_entropy.h"

namespace warptape {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// One step of the rule; returns its loss and gradient norm.
StepMetrics take_step(Module& model, Optimizer& optimizer, const ParameterStates& states,
                      const ImageBatch& batch, const TrainingOptions& options) {
  StepMetrics metrics;
  optimizer.zero_grad();
  Tape tape;
  const Tensor loss = cross_entropy(model(batch.images), batch.labels);
  tape.backward(loss);
  metrics.loss = loss.item();
  metrics.gradient_norm =
      options.clip_norm ? clip_grad_norm(states, *options.clip_norm) : grad_norm(states);
  optimizer.step();
  return metrics;
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
  Evaluation result;
  int64_t images = 0;
  loader.start(0);
  while (const auto batch = loader.next()) {
    const Tensor logits = model(batch->images);
    result.loss += cross_entropy(logits, batch->labels, {.reduction = Reduction::Sum}).item();
    const std::vector<int64_t> predicted = argmax(logits, 1).to_vector<int64_t>();
    const std::vector<int64_t> labels = batch->labels.to_vector<int64_t>();
    for (size_t i = 0; i < labels.size(); ++i) {
      result.accuracy += predicted[i] == labels[i] ? 1 : 0;
    }
    images += static_cast<int64_t>(labels.size());
  }
  model.train(was_training);
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
      StepMetrics taken = take_step(model, optimizer, states, *batch, options);
      taken.epoch = epoch;
      taken.step = ++step;
      taken.learning_rate = optimizer.learning_rate();
      callbacks.on_step(taken);
      check(std::isfinite(taken.loss),
            "[train] step {}: the loss is {}; try a lower learning rate than {}, or clipping", step,
            taken.loss, taken.learning_rate);
      const int64_t count = batch->labels.numel();
      metrics.train_loss += taken.loss * static_cast<double>(count);
      images += count;
      stop = (options.max_steps && step >= *options.max_steps) || callbacks.should_stop();
    }
    metrics.seconds = seconds_since(start);
    metrics.step = step;
    metrics.train_loss /= static_cast<double>(images);
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
