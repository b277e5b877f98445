#include "training/run.h"

#include <fmt/ranges.h>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/parallel.h"
#include "core/random.h"
#include "layers/precision.h"
#include "training/optimizers.h"

namespace warptape {

TrainingRun::TrainingRun(Recipe recipe) : recipe_(std::move(recipe)) {
  check_choices(recipe_);
  if (recipe_.threads > 0) {
    set_num_threads(static_cast<int>(recipe_.threads));
  }
  recipe_.threads = num_threads();
  device_ = parse_device(recipe_.device);
  recipe_.device = to_string(device_);
  recipe_.task.options = tasks().complete(recipe_.task);
  parts_ = tasks().find(recipe_.task.name).make(recipe_, device_);
  check<ValueError>(steps_per_epoch() > 0,
                    "[train] --drop-last leaves no batch: {} training {}, batch size {}",
                    parts_.train->size(), parts_.rows, recipe_.batch_size);
  make_schedule(recipe_, steps_per_epoch());  // throws for one that cannot be
  model().to(device_);
  if (recipe_.precision == "bf16") {
    set_precision(model(), bfloat16);
  }
  optimizer_ = recipe_.decay == "all" ? make_optimizer(recipe_.optimizer, parameters(model()))
                                      : make_optimizer_by_role(recipe_.optimizer, model());
  if (recipe_.ema_decay) {
    average_ = std::make_unique<ParameterAverage>(
        parameters(model()), ParameterAverage::Options{.decay = *recipe_.ema_decay});
  }
}

std::string TrainingRun::name() const {
  return tasks().find(recipe_.task.name).is_of_images
             ? recipe_.model.name
             : recipe_.model.name + "-" + recipe_.task.name;
}

RunFacts TrainingRun::facts() const {
  return {.data_kind = parts_.data_kind,
          .train_rows = parts_.train->size(),
          .validation_rows = has_validation() ? parts_.validation->size() : 0,
          .test_rows = parts_.test->size(),
          .parameters = count_parameters(*parts_.model)};
}

RunColumns TrainingRun::columns() const {
  return {.validation = has_validation(),
          .metric = parts_.metric ? parts_.metric->name : "",
          .rows = parts_.rows};
}

TrainingOptions TrainingRun::training_options() const {
  return {.loss = parts_.loss,
          .metric = parts_.metric,
          .validation = parts_.validation.get(),
          .test = parts_.test.get(),
          .epochs = recipe_.epochs,
          .max_steps = recipe_.max_steps,
          .clip_norm = recipe_.clip_norm,
          .average = average_.get(),
          .schedule = make_schedule(recipe_, steps_per_epoch()),
          .checkpoint_every = recipe_.checkpoint_every,
          .patience = recipe_.patience,
          .graph = graph_};
}

void TrainingRun::restore(const RunState& state) {
  const std::vector<std::string> differ = differing_keys(recipe_, state.recipe);
  check<ValueError>(
      differ.empty(),
      "[train] the checkpoint is of another recipe: {} differ; a run goes on with what "
      "it began with, another one may begin with its weights (init)",
      fmt::join(differ, ", "));
  const TrainingPosition& at = state.position;
  check<ValueError>(at.batches <= steps_per_epoch() && at.epoch <= recipe_.epochs + 1 &&
                        at.step <= (at.epoch - 1) * steps_per_epoch() + at.batches,
                    "[train] the checkpoint is at step {}, batch {} of epoch {}, which a run of {} "
                    "batches per epoch does not have",
                    at.step, at.batches, at.epoch, steps_per_epoch());
  check<ValueError>(
      average_ == nullptr || at.step == 0 || !state.average.empty(),
      "[train] the checkpoint at step {} has no average of the parameters, which this recipe wants",
      at.step);
  load_state_dict(model(), state.model);
  optimizer_->load_state_dict(state.optimizer);
  if (average_ != nullptr) {
    average_->load_state_dict(state.average);
  }
  default_generator().restore(state.seed, state.streams);
  position_ = state.position;
}

bool TrainingRun::is_complete() const {
  return warptape::is_complete(position_, training_options());
}

RunState TrainingRun::state(const TrainingPosition& position) {
  return {.recipe = recipe_,
          .position = position,
          .seed = default_generator().seed(),
          .streams = default_generator().streams(),
          .model = state_dict(model()),
          .optimizer = optimizer_->state_dict(),
          .average = average_ != nullptr ? average_->state_dict() : StateDict()};
}

EpochMetrics TrainingRun::train(RunFolder& folder, const TrainingCallbacks& callbacks) {
  TrainingCallbacks with_folder = callbacks;
  with_folder.on_step = [&](const StepMetrics& step) {
    folder.add_step(step);
    callbacks.on_step(step);
  };
  with_folder.on_epoch = [&](const EpochMetrics& epoch) {
    folder.add_epoch(epoch, model(), parts_.checkpoint_metadata);
    callbacks.on_epoch(epoch);
  };
  with_folder.on_checkpoint = [&](const TrainingPosition& position) {
    folder.sync();
    save_run_state(folder.checkpoint_path(), state(position));
    callbacks.on_checkpoint(position);
  };
  return warptape::train(model(), *optimizer_, *parts_.train, training_options(), with_folder,
                         position_);
}

}  // namespace warptape
