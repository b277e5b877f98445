#pragma once
// The training loop: any model, loss and data.
//
//   DataLoader data(TensorDataset(inputs, targets), {.batch_size = 32, .shuffle = true});
//   Adam optimizer(parameters(model));
//   train(model, optimizer, data,
//         {.loss = [](const Tensor& y, const Tensor& target) { return mse_loss(y, target); },
//          .epochs = 20});

#include <functional>
#include <optional>

#include "layers/state_dict.h"
#include "training/batch_graphs.h"
#include "training/evaluate.h"
#include "training/loader.h"
#include "training/optimizer.h"
#include "training/parameter_average.h"
#include "training/schedule.h"
#include "training/train_step.h"

namespace warptape {

// A loss that is not finite: the model is of no use any more.
struct Diverged : Error {
  using Error::Error;
};

struct TrainingOptions {
  Loss loss = {};                     // required
  std::optional<Metric> metric = {};  // of evaluations
  Loader* validation = nullptr;       // evaluated after every epoch; decides what is best
  Loader* test = nullptr;             // likewise; decides where there is no validation
  int64_t epochs = 15;
  std::optional<int64_t> max_steps = {};  // stop after so many steps in all
  std::optional<double> clip_norm = {};
  // Updated after every step. Evaluations, on_epoch and best_weights see the model with the
  // averages; steps, on_checkpoint and who called train() with its own parameters.
  ParameterAverage* average = nullptr;
  // Starts from the rates of the optimizer's groups, each from its own, which they have again
  // afterwards and while on_checkpoint runs; without one the rates stay as they are.
  Schedule schedule = {};
  std::optional<int64_t> checkpoint_every = {};  // steps between two on_checkpoint
  std::optional<int64_t> patience = {};  // end after so many epochs in a row without a better one
  bool restore_best = false;             // the model ends with the weights of its best epoch
  GraphOptions graph = {};  // of steps, and of evaluations; same bits with graphs and without
};

struct StepMetrics {
  int64_t epoch = 0;  // from 1
  int64_t step = 0;   // from 1, over the whole run
  double loss = 0;
  double learning_rate = 0;
  double gradient_norm = 0;  // before clipping
};

struct EpochMetrics {
  int64_t epoch = 0;
  int64_t step = 0;       // steps so far
  double train_loss = 0;  // mean over the rows of the epoch, in training mode
  std::optional<Evaluation> test = {};
  std::optional<Evaluation> validation = {};
  double learning_rate = 0;  // of the last step
  double seconds = 0;        // of the training part, without evaluation
  double rows_per_second = 0;
  bool is_cut_short = false;  // should_stop ended it before its last batch
  bool is_best = false;       // of those so far

  // What decides which epoch is best: validation where there is one, then test, then the loss in
  // training.
  Evaluation deciding() const;
  // By the metric where there is one, then by lower loss. One with a number that is not finite is
  // better than none, and worse than any other; so is one that was cut short, which a run that goes
  // on later will not have.
  bool is_better_than(const EpochMetrics& other, bool higher_is_better = true) const;
  bool is_finite() const;  // all losses and metrics
};

// How far a run has come, between two steps.
struct TrainingPosition {
  int64_t step = 0;   // steps so far
  int64_t epoch = 1;  // that is under way or comes next, from 1
  // Of this epoch so far:
  int64_t batches = 0;
  int64_t rows = 0;
  double loss_sum = 0;  // of the losses, each times its rows
  double seconds = 0;
  std::optional<EpochMetrics> best = {};  // of the epochs before
  StateDict best_weights = {};            // of that, for restore_best
  bool has_ended = false;                 // by patience, or by stop_after
};

struct TrainingCallbacks {
  // Of every step, in order; on a device that works behind the host once the next one is queued.
  std::function<void(const StepMetrics&)> on_step = [](const StepMetrics&) {};
  std::function<void(const EpochMetrics&)> on_epoch = [](const EpochMetrics&) {};
  // Every checkpoint_every steps, when should_stop says so, and at the end. All steps before have
  // been reported. A run from there on, with the model, the optimizer, the average and the default
  // generator as they are now, does the same steps as one that was never stopped.
  std::function<void(const TrainingPosition&)> on_checkpoint = [](const TrainingPosition&) {};
  // Asked after every step. docs/dependencies.md says how a signal may set what it asks.
  std::function<bool()> should_stop = [] { return false; };
  // Asked after every whole epoch, behind on_epoch: whether the run is over.
  std::function<bool(const EpochMetrics&)> stop_after = [](const EpochMetrics&) { return false; };
};

// Model and loaders on one device. Trains until epochs or max_steps are through, patience is over,
// or it is asked to stop; every epoch that began ends with its evaluations and on_epoch. Returns
// the best epoch. Throws Diverged that names the step if a step's loss is not finite, after on_step
// had it, and if one of an evaluation is not, after on_epoch had its numbers. Every epoch begins
// with model.train(). Goes on from `from`, which on_checkpoint has given: if all is done there,
// nothing is.
EpochMetrics train(Module& model, Optimizer& optimizer, Loader& data,
                   const TrainingOptions& options, const TrainingCallbacks& callbacks = {},
                   const TrainingPosition& from = {});

struct TrainingData {
  Loader& train;
  Loader& test;
  Loader* validation = nullptr;
};

// The same for a classifier: cross-entropy, accuracy, and these data in place of the options'.
EpochMetrics train_classifier(Module& model, Optimizer& optimizer, TrainingData data,
                              TrainingOptions options, const TrainingCallbacks& callbacks = {},
                              const TrainingPosition& from = {});

// Whether a run has come to its end there.
bool is_complete(const TrainingPosition& position, const TrainingOptions& options);

}  // namespace warptape
