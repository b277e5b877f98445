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
  // Starts from the rates of the optimizer's groups, each from its own, which they have again
  // afterwards and while on_checkpoint runs; without one the rates stay as they are.
  std::optional<ScheduleOptions> schedule = {};
  std::optional<int64_t> checkpoint_every = {};  // steps between two on_checkpoint
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
  bool is_cut_short = false;  // should_stop ended it before its last batch
  bool is_best = false;       // of those so far

  // What decides which checkpoint is best: validation where there is one.
  const Evaluation& deciding() const { return validation ? *validation : test; }
  // Higher accuracy, then lower loss. One with a loss or accuracy that is not finite is better than
  // none, and worse than any other; so is one that was cut short, which a run that goes on later
  // will not have.
  bool is_better_than(const EpochMetrics& other) const;
  bool is_finite() const;  // all losses and accuracies
};

struct TrainingData {
  ImageLoader& train;
  ImageLoader& test;
  ImageLoader* validation = nullptr;
};

// How far a run has come, between two steps.
struct TrainingPosition {
  int64_t step = 0;   // steps so far
  int64_t epoch = 1;  // that is under way or comes next, from 1
  // Of this epoch so far:
  int64_t batches = 0;
  int64_t images = 0;
  double loss_sum = 0;  // of the losses, each times its images
  double seconds = 0;
  std::optional<EpochMetrics> best = {};  // of the epochs before
};

struct TrainingCallbacks {
  // Of every step, in order; on a device that works behind the host once the next one is queued.
  std::function<void(const StepMetrics&)> on_step = [](const StepMetrics&) {};
  std::function<void(const EpochMetrics&)> on_epoch = [](const EpochMetrics&) {};
  // Every checkpoint_every steps, when should_stop says so, and at the end. All steps before have
  // been reported. A run from there on, with the model, the optimizer and the default generator as
  // they are now, does the same steps as one that was never stopped.
  std::function<void(const TrainingPosition&)> on_checkpoint = [](const TrainingPosition&) {};
  // Asked after every step. docs/dependencies.md says how a signal may set what it asks.
  std::function<bool()> should_stop = [] { return false; };
};

// In evaluation mode; every module has its own mode again afterwards, whatever is thrown.
Evaluation evaluate(Module& model, ImageLoader& loader);

// Model and loaders on one device. Trains until epochs or max_steps are through, or should_stop;
// every epoch that began ends with an evaluation and on_epoch. Returns the best epoch. Throws Error
// that names the step if a step's loss is not finite, and if one of an evaluation is not, after
// on_epoch had its numbers: the model is of no use then. Every epoch begins with model.train().
// Goes on from `from`, which on_checkpoint has given: if all is done there, nothing is.
EpochMetrics train_classifier(Module& model, Optimizer& optimizer, TrainingData data,
                              const TrainingOptions& options,
                              const TrainingCallbacks& callbacks = {},
                              const TrainingPosition& from = {});

// Whether a run has come to its end there.
bool is_complete(const TrainingPosition& position, const TrainingOptions& options);

}  // namespace warptape
