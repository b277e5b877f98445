#include "training/trainer.h"

#include <chrono>
#include <cmath>
#include <deque>
#include <utility>

#include "core/profile.h"
#include "core/tape.h"
#include "kernels/argmax/argmax.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "training/plain_nan.h"
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

  // Of steps that were reported by an earlier part of the run.
  void begin_with(double loss_sum) { loss_sum_ = loss_sum; }

  void add(const QueuedStep& step, const Tensor& loss, const Tensor& gradient_norm) {
    steps_.push_back(step);
    reader_->push({loss, gradient_norm});
    while (reader_->waiting() > reader_->worth_waiting()) {
      report_oldest();
    }
  }

  // Reports what is left; the sum of losses, each times its images, since the last take().
  double finish() {
    while (reader_->waiting() > 0) {
      report_oldest();
    }
    return loss_sum_;
  }
  double take() {
    finish();
    return std::exchange(loss_sum_, 0);
  }

 private:
  void report_oldest() {
    QueuedStep step = std::move(steps_.front());
    steps_.pop_front();
    const std::vector<double> values = reader_->pop();
    step.metrics.loss = plain_nan(values[0]);
    step.metrics.gradient_norm = plain_nan(values[1]);
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

// A schedule over the rates that an optimizer's groups have, which they have again afterwards.
class RateScope {
 public:
  explicit RateScope(Optimizer& optimizer) : optimizer_(optimizer) {
    for (size_t group = 0; group < optimizer.num_groups(); ++group) {
      rates_.push_back(optimizer.learning_rate(group));
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

  // Every group starts from its own rate.
  void set(const ScheduleOptions& schedule, int64_t step) {
    for (size_t group = 0; group < rates_.size(); ++group) {
      optimizer_.set_learning_rate(group, learning_rate_at(schedule, rates_[group], step));
    }
  }
  void give_back() {
    for (size_t group = 0; group < rates_.size(); ++group) {
      optimizer_.set_learning_rate(group, rates_[group]);
    }
  }

 private:
  Optimizer& optimizer_;
  std::vector<double> rates_;
};

// The schedule of a run of so many steps.
ScheduleOptions fitted(ScheduleOptions schedule, int64_t steps) {
  if (schedule.kind == ScheduleKind::Cosine && !schedule.total_steps) {
    check<ValueError>(schedule.warmup_steps < steps,
                      "[train] schedule: got {} warm-up steps, wanted fewer than the {} steps of "
                      "the run",
                      schedule.warmup_steps, steps);
    schedule.total_steps = steps - schedule.warmup_steps;
  }
  return schedule;
}

int64_t steps_of_run(const TrainingOptions& options, int64_t steps_per_epoch) {
  const int64_t all = options.epochs * steps_per_epoch;
  return options.max_steps ? std::min(all, *options.max_steps) : all;
}

void check_finite(const EpochMetrics& epoch) {
  const auto check_loss = [&](const char* of, double loss) {
    check(std::isfinite(loss),
          "[train] step {}: the {} loss after it is {}; try a lower learning rate than {}, or "
          "clipping",
          epoch.step, of, loss, epoch.learning_rate);
  };
  check_loss("test", epoch.test.loss);
  if (epoch.validation) {
    check_loss("validation", epoch.validation->loss);
  }
}

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

bool is_complete(const TrainingPosition& position, const TrainingOptions& options) {
  return position.epoch > options.epochs ||
         (options.max_steps && position.step >= *options.max_steps && position.batches == 0);
}

bool EpochMetrics::is_better_than(const EpochMetrics& other) const {
  if (is_cut_short != other.is_cut_short && is_finite()) {
    return other.is_cut_short;
  }
  if (!is_finite() || !other.is_finite()) {
    return is_finite();
  }
  const Evaluation& own = deciding();
  const Evaluation& best = other.deciding();
  return own.accuracy > best.accuracy || (own.accuracy == best.accuracy && own.loss < best.loss);
}

bool EpochMetrics::is_finite() const {
  const auto finite = [](const Evaluation& of) {
    return std::isfinite(of.loss) && std::isfinite(of.accuracy);
  };
  return std::isfinite(train_loss) && finite(test) && (!validation || finite(*validation));
}

Evaluation evaluate(Module& model, ImageLoader& loader) {
  const profile::Range range("evaluate");
  const ModeScope modes(model);
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
  result.loss = plain_nan(result.loss / static_cast<double>(images));
  result.accuracy /= static_cast<double>(images);
  return result;
}

EpochMetrics train_classifier(Module& model, Optimizer& optimizer, TrainingData data,
                              const TrainingOptions& options, const TrainingCallbacks& callbacks,
                              const TrainingPosition& from) {
  check<ValueError>(
      data.train.batches_per_epoch() > 0,
      "[train] got {} training images: not one full batch, and the last one is dropped",
      data.train.size());
  const ParameterStates states = parameters(model);
  check<ValueError>(!states.empty(),
                    "[train] {} has no parameters: does it list its members in fields()?",
                    model.type_name());
  check<ValueError>(options.epochs >= 1, "[train] epochs: got {}, wanted 1 or more",
                    options.epochs);
  check<ValueError>(!options.max_steps || *options.max_steps >= 1,
                    "[train] max_steps: got {}, wanted 1 or more", options.max_steps.value_or(0));
  std::optional<RateScope> rate;
  ScheduleOptions schedule;
  if (options.schedule) {
    rate.emplace(optimizer);
    schedule = fitted(*options.schedule, steps_of_run(options, data.train.batches_per_epoch()));
  }
  StepReports reports(states[0]->value.device(), callbacks);
  TrainingPosition position = from;
  reports.begin_with(position.loss_sum);
  if (rate && position.step > 0) {  // an epoch of which only the evaluation is left tells it
    rate->set(schedule, position.step - 1);
  }
  // The optimizer's state that is saved has the rates that the schedule starts from.
  const auto report_checkpoint = [&](const TrainingPosition& at) {
    if (rate) {
      rate->give_back();
    }
    callbacks.on_checkpoint(at);
    if (rate && at.step > 0) {
      rate->set(schedule, at.step - 1);
    }
  };
  bool stop = is_complete(position, options);
  while (!stop && position.epoch <= options.epochs) {
    EpochMetrics metrics;
    metrics.epoch = position.epoch;
    model.train();
    const auto start = std::chrono::steady_clock::now();
    const double seconds_before = position.seconds;
    data.train.start(static_cast<uint64_t>(position.epoch), position.batches);
    // Where max_steps was reached, only the end of its epoch is still to come.
    stop = options.max_steps && position.step >= *options.max_steps;
    bool was_asked_to_stop = false;
    while (!stop) {
      const auto batch = data.train.next();
      if (!batch) {
        break;
      }
      const profile::Range range("step");
      if (rate) {
        rate->set(schedule, position.step);
      }
      QueuedStep queued;
      queued.metrics.epoch = position.epoch;
      queued.metrics.step = ++position.step;
      take_step(model, optimizer, states, *batch, options, queued, reports);
      ++position.batches;
      position.images += batch->labels.numel();
      was_asked_to_stop = callbacks.should_stop();
      stop = was_asked_to_stop || (options.max_steps && position.step >= *options.max_steps);
      if (stop || (options.checkpoint_every && position.step % *options.checkpoint_every == 0)) {
        position.loss_sum = reports.finish();
        position.seconds = seconds_before + seconds_since(start);
        report_checkpoint(position);
      }
    }
    metrics.train_loss = reports.take() / static_cast<double>(position.images);
    metrics.seconds = seconds_before + seconds_since(start);
    metrics.step = position.step;
    metrics.learning_rate = optimizer.learning_rate();
    metrics.images_per_second = static_cast<double>(position.images) / metrics.seconds;
    metrics.is_cut_short = was_asked_to_stop && position.batches < data.train.batches_per_epoch() &&
                           !(options.max_steps && position.step >= *options.max_steps);
    metrics.test = evaluate(model, data.test);
    if (data.validation != nullptr) {
      metrics.validation = evaluate(model, *data.validation);
    }
    metrics.is_best =
        metrics.is_finite() && (!position.best || metrics.is_better_than(*position.best));
    callbacks.on_epoch(metrics);
    check_finite(metrics);
    const EpochMetrics best = metrics.is_best || !position.best ? metrics : *position.best;
    if (metrics.is_cut_short) {
      return best;
    }
    position = {.step = position.step, .epoch = position.epoch + 1, .best = best};
  }
  if (!is_complete(from, options) && is_complete(position, options)) {
    report_checkpoint(position);
  }
  check<ValueError>(position.best.has_value(),
                    "[train] got a position at the end of a run, without its best epoch");
  return *position.best;
}

}  // namespace warptape
