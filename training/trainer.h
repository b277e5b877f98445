#pragma once
// The training loop of a classifier.

#include <functional>
#include <optional>

#include "layers/module.h"
#include "training/image_loader.h"
#include "training/optimizer.h"
#include "training/schedule.h"

namespace warptape {

struct TrainingOptions {
  int64_t epochs = 15;
  std::optional<int64_t> max_steps = {};  // stop after so many steps in all
  std::optional<double> clip_norm = {};
  // Starts from the optimizer's rate, which the optimizer has again afterwards; without one the
  // optimizer's rate stays as it is.
  std::optional<ScheduleOptions> schedule = {};
};

struct StepMetrics {
  int64_t epoch = 0;  // from 1
  int64_t step = 0;   // from 1, over the whole run
  double loss = 0;
  double learning_rate = 0;
  double gradient_norm = 0;  // before clipping
};

struct Evaluation {
  double loss = 0;      // mean cross-entropy
  double accuracy = 0;  // 0 to 1
};

struct EpochMetrics {
  int64_t epoch = 0;
  int64_t step = 0;       // steps so far
  double train_loss = 0;  // mean over the images of the epoch, in training mode
  Evaluation test;
  std::optional<Evaluation> validation;
  double learning_rate = 0;  // of the last step
  double seconds = 0;        // of the training part, without evaluation
  double images_per_second = 0;

  // What decides which checkpoint is best: validation where there is one.
  const Evaluation& deciding() const { return validation ? *validation : test; }
  // Higher accuracy, then lower loss. One with a loss or accuracy that is not finite is better than
  // none, and worse than any other.
  bool is_better_than(const EpochMetrics& other) const;
  bool is_finite() const;  // all losses and accuracies
};

struct TrainingData {
  ImageLoader& train;
  ImageLoader& test;
  ImageLoader* validation = nullptr;
};

struct TrainingCallbacks {
  // Of every step, in order; on a device that works behind the host once the next one is queued.
  std::function<void(const StepMetrics&)> on_step = [](const StepMetrics&) {};
  std::function<void(const EpochMetrics&)> on_epoch = [](const EpochMetrics&) {};
  // Asked after every step. docs/dependencies.md says how a signal may set what it asks.
  std::function<bool()> should_stop = [] { return false; };
};

// In evaluation mode; every module has its own mode again afterwards, whatever is thrown.
Evaluation evaluate(Module& model, ImageLoader& loader);

// Model and loaders on one device. Trains until epochs or max_steps are through, or should_stop;
// every epoch that began ends with an evaluation and on_epoch. Returns the best epoch. Throws Error
// that names the step if a step's loss is not finite, and if one of an evaluation is not, after
// on_epoch had its numbers: the model is of no use then. Every epoch begins with model.train().
EpochMetrics train_classifier(Module& model, Optimizer& optimizer, TrainingData data,
                              const TrainingOptions& options,
                              const TrainingCallbacks& callbacks = {});

}  // namespace warptape
