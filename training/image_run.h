#pragma once
// A run: a classifier of images that is trained by a recipe.
//
//   Recipe recipe;
//   recipe.data = "data/digits";
//   ImageRun run(recipe);
//   RunFolder folder(RunFolder::make_default(recipe.model), to_json(run.recipe(), run.facts()),
//                    run.columns());
//   run.train(folder);

#include <memory>
#include <string>
#include <vector>

#include "layers/module.h"
#include "training/image_data.h"
#include "training/image_loader.h"
#include "training/recipe.h"
#include "training/run_folder.h"
#include "training/run_state.h"
#include "training/tensor_dataset.h"

namespace warptape {

// Whether so much data may be kept on this GPU; never on the CPU, where it is anyway.
bool fits_on_device(Device device, int64_t bytes);

class ImageRun {
 public:
  // Reads the data and makes the model with manual_seed(recipe.seed). Device and threads are as the
  // recipe says; libraries of a GPU are not touched. ValueError, FileError or DeviceError for what
  // cannot be.
  explicit ImageRun(Recipe recipe);

  // What the recipe left open is filled in: by the data, and by what the device has.
  const Recipe& recipe() const { return recipe_; }
  RunFacts facts() const;  // without versions
  const ImageData& data() const { return data_; }
  const Split& split() const { return split_; }
  Module& model() { return *model_; }
  Device device() const { return device_; }
  int64_t steps_per_epoch() const { return train_loader_->batches_per_epoch(); }
  RunColumns columns() const { return {.validation = has_validation()}; }
  bool has_validation() const { return !split_.held_out.empty(); }
  // What PyTorch's wrappers had added to the keys of recipe.init.
  const std::vector<std::string>& removed_wrappers() const { return removed_wrappers_; }

  // Takes the state of such a run; ValueError where it is one of another recipe.
  void restore(const RunState& state);
  const TrainingPosition& position() const { return position_; }  // where train() begins
  bool is_complete() const;

  // Trains from position() on, with rows and checkpoints in the folder. Callbacks come after the
  // folder has what they tell; what on_checkpoint gets is on the disk. Returns the best epoch.
  // Once.
  EpochMetrics train(RunFolder& folder, const TrainingCallbacks& callbacks = {});

 private:
  ImageTransform make_transform() const;
  std::unique_ptr<Module> make_model();
  void place_data();
  void make_loaders(const ImageTransform& transform);
  TrainingOptions training_options() const;
  RunState state(const TrainingPosition& position);

  Recipe recipe_;
  Device device_ = cpu;
  ImageData data_;
  Split split_;  // of the training images
  std::vector<std::string> removed_wrappers_;
  std::unique_ptr<Module> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<ImageLoader> train_loader_;
  std::unique_ptr<ImageLoader> test_loader_;
  std::unique_ptr<ImageLoader> validation_loader_;
  TrainingPosition position_;
};

}  // namespace warptape
