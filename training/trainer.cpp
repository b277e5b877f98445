#include "training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include "core/check.h"
#include "training/step_reports.h"

namespace warptape {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// A schedule over the rates that an optimizer's groups have, which they have again afterwards.
class RateScope {
 public:
  RateScope(Optimizer& optimizer, const Schedule& schedule, StepOfRun run)
      : optimizer_(optimizer), schedule_(schedule), run_(run) {
    for (size_t group = 0; group < optimizer.num_groups(); ++group) {
      rates_.push_back(optimizer.learning_rate(group));
      if (schedule_) {
        rate_at(0, rates_.back());  // throws for one that cannot be
      }
    }
  }
  ~RateScope() {
    try {
      give_back();
    } catch (const Error&) {
      // A fault of the device sticks: whoever uses it next is told.
    }
  }
  RateScope(const RateScope&) = delete;
  RateScope& operator=(const RateScope&) = delete;

  // Of a step, counted from 0: every group starts from its own rate.
  void set(int64_t step) {
    for (size_t group = 0; schedule_ && group < rates_.size(); ++group) {
      optimizer_.set_learning_rate(group, rate_at(step, rates_[group]));
    }
  }
  void give_back() {
    for (size_t group = 0; schedule_ && group < rates_.size(); ++group) {
      optimizer_.set_learning_rate(group, rates_[group]);
    }
  }

 private:
  double rate_at(int64_t step, double rate) {
    run_.step = step;
    return learning_rate_at(schedule_, rate, run_);
  }

  Optimizer& optimizer_;
  const Schedule& schedule_;
  StepOfRun run_;
  std::vector<double> rates_;
};

StepOfRun length_of_run(const TrainingOptions& options, int64_t steps_per_epoch) {
  int64_t all = 0;
  if (__builtin_mul_overflow(options.epochs, steps_per_epoch, &all)) {
    all = std::numeric_limits<int64_t>::max();
  }
  return {.total_steps = options.max_steps ? std::min(all, *options.max_steps) : all,
          .steps_per_epoch = steps_per_epoch};
}

void check_finite(const EpochMetrics& epoch) {
  const auto check_loss = [&](const char* of, const std::optional<Evaluation>& evaluation) {
    check<Diverged>(
        !evaluation || std::isfinite(evaluation->loss),
        "[train] step {}: the {} loss after it is {}; try a lower learning rate than {}, or "
        "clipping",
        epoch.step, of, evaluation ? evaluation->loss : 0, epoch.learning_rate);
  };
  check_loss("test", epoch.test);
  check_loss("validation", epoch.validation);
}

StateDict copy_of_weights(const Module& model) {
  StateDict copy;
  for (const auto& [key, tensor] : state_dict(model)) {
    copy.emplace_back(key, tensor.clone());
  }
  return copy;
}

// One run of train().
class Run {
 public:
  Run(Module& model, Optimizer& optimizer, Loader& data, const TrainingOptions& options,
      const TrainingCallbacks& callbacks, const TrainingPosition& from)
      : model_(model),
        optimizer_(optimizer),
        data_(data),
        options_(options),
        callbacks_(callbacks),
        position_(from),
        states_(checked_parameters()),
        reports_(states_[0]->value.device(), callbacks),
        steps_(
            {.what = "a step", .model = model, .states = states_, .optimizer = &optimizer},
            [this](const Batch& batch) { return step(batch); }, options.graph),
        evaluator_(model, options.loss, options.metric, options.graph),
        rates_(optimizer, options.schedule, length_of_run(options, data.batches_per_epoch())) {
    reports_.begin_with(from.loss_sum);
    if (from.step > 0) {  // an epoch of which only the evaluation is left tells it
      rates_.set(from.step - 1);
    }
  }

  EpochMetrics train() {
    const bool was_complete = is_complete(position_, options_);
    bool goes_on = !was_complete;
    while (goes_on && position_.epoch <= options_.epochs) {
      goes_on = train_epoch();
    }
    if (!was_complete && is_complete(position_, options_)) {
      report_checkpoint();
    }
    check<ValueError>(position_.best.has_value(),
                      "[train] got a position at the end of a run, without its best epoch");
    if (options_.restore_best && position_.best->is_finite()) {
      check<ValueError>(!position_.best_weights.empty(),
                        "[train] restore_best: got a position without the weights of its best "
                        "epoch, wanted those that on_checkpoint gave");
      load_state_dict(model_, position_.best_weights);
    }
    return *position_.best;
  }

 private:
  ParameterStates checked_parameters() {
    check<ValueError>(options_.loss != nullptr, "[train] loss: got none, wanted a function");
    check<ValueError>(
        data_.batches_per_epoch() > 0,
        "[train] got {} training rows: not one full batch, and the last one is dropped",
        data_.size());
    ParameterStates states = parameters(model_);
    check<ValueError>(!states.empty(),
                      "[train] {} has no parameters: does it list its members in fields()?",
                      model_.type_name());
    const auto at_least_one = [](const char* name, std::optional<int64_t> value) {
      check<ValueError>(value.value_or(1) >= 1, "[train] {}: got {}, wanted 1 or more", name,
                        value.value_or(1));
    };
    at_least_one("epochs", options_.epochs);
    at_least_one("max_steps", options_.max_steps);
    at_least_one("checkpoint_every", options_.checkpoint_every);
    at_least_one("patience", options_.patience);
    if (options_.average != nullptr) {
      check_average(states);
    }
    return states;
  }

  void check_average(const ParameterStates& states) const {
    for (const auto& state : states) {
      check<ValueError>(!state->requires_grad || options_.average->holds(*state),
                        "[train] average: got one without {}; was the model copied, replaced or "
                        "weight-normalised after its average was made?",
                        describe(*state));
    }
    check<ValueError>(position_.step == 0 || options_.average->has_begun(),
                      "[train] average: got none for the position at step {}, wanted that which it "
                      "had when on_checkpoint gave the position",
                      position_.step);
  }

  // The optimizer's state that is saved has the rates that the schedule starts from.
  void report_checkpoint() {
    rates_.give_back();
    callbacks_.on_checkpoint(position_);
    if (position_.step > 0) {
      rates_.set(position_.step - 1);
    }
  }

  bool has_all_steps() const { return options_.max_steps && position_.step >= *options_.max_steps; }

  // What is left of an epoch, and its evaluations. Whether the run goes on.
  bool train_epoch() {
    EpochMetrics metrics;
    metrics.epoch = position_.epoch;
    model_.train();
    const bool was_asked_to_stop = take_steps(metrics);
    metrics.step = position_.step;
    metrics.learning_rate = optimizer_.learning_rate();
    metrics.rows_per_second = static_cast<double>(position_.rows) / metrics.seconds;
    metrics.is_cut_short =
        was_asked_to_stop && !has_all_steps() && position_.batches < data_.batches_per_epoch();
    AverageScope with_averages(options_.average);
    if (options_.test != nullptr) {
      metrics.test = evaluator_.evaluate(*options_.test);
    }
    if (options_.validation != nullptr) {
      metrics.validation = evaluator_.evaluate(*options_.validation);
    }
    metrics.is_best = metrics.is_finite() && (!position_.best || is_better(metrics));
    callbacks_.on_epoch(metrics);
    check_finite(metrics);
    TrainingPosition next{.step = position_.step, .epoch = position_.epoch + 1};
    const bool is_kept = metrics.is_best || !position_.best;
    next.best = is_kept ? metrics : position_.best;
    next.best_weights = std::move(position_.best_weights);
    if (is_kept && options_.restore_best) {
      next.best_weights = copy_of_weights(model_);
    }
    with_averages.end();
    if (metrics.is_cut_short) {  // the checkpoint of it has been given
      position_.best = next.best;
      position_.best_weights = std::move(next.best_weights);
      return false;
    }
    next.has_ended = callbacks_.stop_after(metrics) ||
                     (options_.patience && metrics.epoch - next.best->epoch >= *options_.patience);
    position_ = std::move(next);
    return !was_asked_to_stop && !is_complete(position_, options_);
  }

  bool is_better(const EpochMetrics& metrics) const {
    return metrics.is_better_than(*position_.best,
                                  !options_.metric || options_.metric->higher_is_better);
  }

  std::vector<Tensor> step(const Batch& batch) {
    const QueuedStep queued =
        train_step(model_, optimizer_, states_, batch, options_.loss, options_.clip_norm);
    if (options_.average != nullptr) {
      options_.average->update();
    }
    return {queued.loss, queued.gradient_norm};
  }

  // Whether should_stop ended them.
  bool take_steps(EpochMetrics& metrics) {
    const auto start = std::chrono::steady_clock::now();
    const double seconds_before = position_.seconds;
    data_.start(static_cast<uint64_t>(position_.epoch), position_.batches);
    // Where max_steps was reached, only the end of its epoch is still to come.
    bool stop = has_all_steps();
    bool was_asked_to_stop = false;
    while (!stop) {
      const std::optional<int64_t> rows = steps_.take(data_);
      if (!rows) {
        break;
      }
      rates_.set(position_.step);
      const std::vector<Tensor>& queued = steps_.run();
      ++position_.step;
      reports_.add({.epoch = position_.epoch,
                    .step = position_.step,
                    .learning_rate = optimizer_.learning_rate()},
                   *rows, {queued[0], queued[1]});
      ++position_.batches;
      position_.rows += *rows;
      was_asked_to_stop = callbacks_.should_stop();
      stop = was_asked_to_stop || has_all_steps();
      if (stop || (options_.checkpoint_every && position_.step % *options_.checkpoint_every == 0)) {
        position_.loss_sum = reports_.finish();
        position_.seconds = seconds_before + seconds_since(start);
        report_checkpoint();
      }
    }
    metrics.train_loss = reports_.take() / static_cast<double>(position_.rows);
    metrics.seconds = seconds_before + seconds_since(start);
    return was_asked_to_stop;
  }

  Module& model_;
  Optimizer& optimizer_;
  Loader& data_;
  const TrainingOptions& options_;
  const TrainingCallbacks& callbacks_;
  TrainingPosition position_;
  ParameterStates states_;
  StepReports reports_;
  BatchGraphs steps_;
  Evaluator evaluator_;
  RateScope rates_;
};

}  // namespace

bool is_complete(const TrainingPosition& position, const TrainingOptions& options) {
  return position.has_ended || position.epoch > options.epochs ||
         (options.max_steps && position.step >= *options.max_steps && position.batches == 0);
}

Evaluation EpochMetrics::deciding() const {
  return validation ? *validation : test ? *test : Evaluation{.loss = train_loss};
}

bool EpochMetrics::is_better_than(const EpochMetrics& other, bool higher_is_better) const {
  if (is_cut_short != other.is_cut_short && is_finite()) {
    return other.is_cut_short;
  }
  if (!is_finite() || !other.is_finite()) {
    return is_finite();
  }
  const Evaluation own = deciding();
  const Evaluation best = other.deciding();
  if (own.metric && best.metric && *own.metric != *best.metric) {
    return (*own.metric > *best.metric) == higher_is_better;
  }
  return own.loss < best.loss;
}

bool EpochMetrics::is_finite() const {
  const auto finite = [](const std::optional<Evaluation>& of) {
    return !of || (std::isfinite(of->loss) && std::isfinite(of->metric.value_or(0)));
  };
  return std::isfinite(train_loss) && finite(test) && finite(validation);
}

EpochMetrics train(Module& model, Optimizer& optimizer, Loader& data,
                   const TrainingOptions& options, const TrainingCallbacks& callbacks,
                   const TrainingPosition& from) {
  return Run(model, optimizer, data, options, callbacks, from).train();
}

EpochMetrics train_classifier(Module& model, Optimizer& optimizer, TrainingData data,
                              TrainingOptions options, const TrainingCallbacks& callbacks,
                              const TrainingPosition& from) {
  options.loss = cross_entropy_loss();
  options.metric = accuracy();
  options.test = &data.test;
  options.validation = data.validation;
  return train(model, optimizer, data.train, options, callbacks, from);
}

}  // namespace warptape
