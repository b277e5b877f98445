#include "training/study/cell.h"

#include <cmath>
#include <limits>

#include "core/device/device.h"
#include "core/random.h"
#include "training/study/method.h"
#include "training/tasks.h"
#include "training/trainer.h"

namespace warptape::weight_norm_study {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

// Of SGD a step moves v by lr times its gradient, which goes with 1 / ||v||, and the direction by
// that over ||v||. Adam divides by the gradient's size, so that one ||v|| is left.
double effective_step(const Cell& cell, double norm) {
  return cell.optimizer == "sgd" ? cell.learning_rate / (norm * norm) : cell.learning_rate / norm;
}

class CellRun {
 public:
  CellRun(const StudyPlan& plan, const Cell& cell)
      : cell_(cell),
        recipe_(recipe_of(plan, cell)),
        device_(parse_device(recipe_.device)),
        parts_(tasks().find(recipe_.task.name).make(recipe_, device_)),
        model_(on_device_of_run(), cell.method),
        optimizer_(model_.make_optimizer(cell.optimizer, cell.learning_rate, plan.momentum)) {
    if (cell.method == Method::WeightNormInit) {
      parts_.train->start(0);
      model_.begin_with(parts_.train->next_batch()->input);
    }
  }

  std::optional<std::vector<EpochRow>> run(const std::function<bool()>& should_stop) {
    add_start();
    bool was_stopped = false;
    TrainingCallbacks callbacks;
    callbacks.should_stop = [&] { return was_stopped = should_stop(); };
    callbacks.on_step = [&](const StepMetrics& step) {
      epoch_ = step.epoch;
      gradient_norms_ += step.gradient_norm;
      ++steps_;
    };
    callbacks.on_epoch = [&](const EpochMetrics& epoch) { add(epoch); };
    const TrainingOptions options{.loss = parts_.loss,
                                  .metric = parts_.metric,
                                  .test = parts_.test.get(),
                                  .epochs = recipe_.epochs};
    try {
      train(model_.module(), *optimizer_, *parts_.train, options, callbacks);
    } catch (const Diverged&) {
      if (rows_.back().epoch != epoch_) {  // in a step, before the epoch's evaluation
        rows_.push_back({.epoch = epoch_,
                         .train_loss = unknown,
                         .loss = unknown,
                         .gradient_norm = unknown,
                         .v_norm = unknown,
                         .effective_step = unknown,
                         .seconds_per_step = unknown});
      }
      rows_.back().diverged = true;
    }
    return was_stopped ? std::nullopt : std::optional(std::move(rows_));
  }

 private:
  static Recipe recipe_of(const StudyPlan& plan, const Cell& cell) {
    Recipe recipe = plan.recipes.at(cell.recipe);
    recipe.weight_norm = true;  // which names the layers; the method decides
    recipe.seed = static_cast<uint64_t>(cell.seed);
    recipe.task.options = tasks().complete(recipe.task);
    return recipe;
  }

  std::unique_ptr<Module> on_device_of_run() {
    parts_.model->to(device_);
    return std::move(parts_.model);
  }

  EpochRow row_of(int64_t epoch, const Evaluation& evaluation) const {
    EpochRow row{.epoch = epoch, .loss = evaluation.loss};
    if (evaluation.metric) {
      row.error = parts_.metric->higher_is_better ? 1 - *evaluation.metric : *evaluation.metric;
    }
    const std::vector<double> norms = model_.row_norms();
    for (const double norm : norms) {
      row.v_norm += norm / static_cast<double>(norms.size());
      row.effective_step += effective_step(cell_, norm) / static_cast<double>(norms.size());
    }
    return row;
  }

  void add_start() {
    EpochRow row = row_of(0, evaluate(model_.module(), *parts_.test, parts_.loss, parts_.metric));
    row.train_loss = row.gradient_norm = row.seconds_per_step = unknown;
    rows_.push_back(row);
  }

  void add(const EpochMetrics& epoch) {
    EpochRow row = row_of(epoch.epoch, *epoch.test);
    row.train_loss = epoch.train_loss;
    row.gradient_norm = gradient_norms_ / static_cast<double>(steps_);
    row.seconds_per_step = epoch.seconds / static_cast<double>(steps_);
    rows_.push_back(row);
    gradient_norms_ = 0;
    steps_ = 0;
  }

  Cell cell_;
  Recipe recipe_;
  Device device_;
  TaskParts parts_;
  StudiedModel model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::vector<EpochRow> rows_;
  int64_t epoch_ = 0;          // of the last step
  double gradient_norms_ = 0;  // sum over the epoch's steps
  int64_t steps_ = 0;          // of the epoch
};

}  // namespace

std::optional<std::vector<EpochRow>> run_cell(const StudyPlan& plan, const Cell& cell,
                                              const std::function<bool()>& should_stop) {
  return CellRun(plan, cell).run(should_stop);
}

bool is_complete(const StudyPlan& plan, const Cell& cell, const std::vector<EpochRow>& rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].epoch != static_cast<int64_t>(i) || (rows[i].diverged && i + 1 < rows.size())) {
      return false;
    }
  }
  return !rows.empty() &&
         (rows.back().diverged || rows.back().epoch == plan.recipes.at(cell.recipe).epochs);
}

}  // namespace warptape::weight_norm_study
