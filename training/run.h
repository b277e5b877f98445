#pragma once
// A run: a model that is trained by a recipe.
//
//   Recipe recipe;
//   recipe.data = "data/digits";
//   TrainingRun run(recipe);
//   RunFolder folder(RunFolder::make_default(run.name()), to_json(run.recipe(), run.facts()),
//                    run.columns());
//   run.train(folder);

#include <memory>
#include <string>
#include <vector>

#include "training/recipe.h"
#include "training/run_folder.h"
#include "training/run_state.h"
#include "training/tasks.h"

namespace warptape {

class TrainingRun {
 public:
  // Reads or makes the data and makes the model with manual_seed(recipe.seed). Device and threads
  // are as the recipe says; libraries of a GPU are not touched. ValueError, FileError or
  // DeviceError for what cannot be.
  explicit TrainingRun(Recipe recipe);

  // What the recipe left open is filled in: by the data, and by what the device has.
  const Recipe& recipe() const { return recipe_; }
  RunFacts facts() const;    // without versions
  std::string name() const;  // of its folder: "simple_cnn", "tcn-adding"
  const TaskParts& parts() const { return parts_; }
  Module& model() { return *parts_.model; }
  Device device() const { return device_; }
  int64_t steps_per_epoch() const { return parts_.train->batches_per_epoch(); }
  RunColumns columns() const;
  bool has_validation() const { return parts_.validation != nullptr; }

  // Takes the state of such a run; ValueError where it is one of another recipe.
  void restore(const RunState& state);
  const TrainingPosition& position() const { return position_; }  // where train() begins
  bool is_complete() const;

  void set_graphs(GraphOptions options) { graph_ = std::move(options); }  // none without

  // Trains from position() on, with rows and checkpoints in the folder. Callbacks come after the
  // folder has what they tell; what on_checkpoint gets is on the disk. Returns the best epoch.
  // Once.
  EpochMetrics train(RunFolder& folder, const TrainingCallbacks& callbacks = {});

 private:
  TrainingOptions training_options() const;
  RunState state(const TrainingPosition& position);

  Recipe recipe_;
  Device device_ = cpu;
  TaskParts parts_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<ParameterAverage> average_;  // null: none
  TrainingPosition position_;
  GraphOptions graph_;
};

}  // namespace warptape
