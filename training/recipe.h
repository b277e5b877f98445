#pragma once
// Everything that a run is, as one value. config.json in the run's folder holds it as JSON; who
// reads that can do the run again.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/registry.h"
#include "training/schedule.h"

namespace warptape {

struct Recipe {
  Choice model = {"simple_cnn"};  // of image_models() or sequence_models()
  Choice task = {"images"};       // of tasks()
  bool weight_norm = true;
  std::string dtype = "float32";      // or "float64"
  std::string precision = "float32";  // of products and activations; "bf16" (layers/precision.h)
  std::optional<std::string> init;    // a checkpoint to start from

  // Of models of images; config.json of others has no such keys:
  int64_t input_channels = 0;  // 0: as the data have
  int64_t num_classes = 0;     // 0: as the data, or the checkpoint in init, have
  int64_t image_size = 32;
  std::vector<double> mean;  // one per channel, one for all, or none: as the training set has
  std::vector<double> std;   // likewise

  std::string data;       // the file or folder that the task reads; empty for those that make data
  double validation = 0;  // the part of the training set that is split off
  int64_t batch_size = 64;
  bool drop_last = false;
  bool shuffle = true;
  uint64_t seed = 0;

  int64_t epochs = 15;
  std::optional<int64_t> max_steps;
  std::optional<int64_t> patience;  // epochs in a row without a better one, which end the run
  std::optional<double> clip_norm;
  std::optional<double> ema_decay;  // of an average of the parameters, which is evaluated and kept
  Choice optimizer = {"adam"};      // of optimizers()
  std::string decay = "weights";    // what weight decay acts on (make_optimizer_by_role); or "all"
  Choice schedule = {"constant"};   // of schedules()
  int64_t warmup_steps = 0;         // before the schedule, from a tenth of the learning rate
  int64_t checkpoint_every = 500;   // steps

  std::string device = "cpu";  // "cpu" or "cuda:0"
  // Of a GPU, and none on the CPU:
  std::optional<std::string> gpu_libraries;  // "auto", "on" or "off"
  std::optional<bool> tf32;
  std::optional<bool> data_on_device;
  int64_t threads = 0;  // 0: as many as there are
};

// What a run found, for people; config.json has it beside the recipe.
struct RunFacts {
  std::string warptape = {};   // the version
  std::string data_kind = {};  // "IDX", "CIFAR-10", "adding problem"
  int64_t train_rows = 0;      // images, sequences
  int64_t validation_rows = 0;
  int64_t test_rows = 0;
  int64_t parameters = 0;
  std::optional<std::string> onednn = {};  // versions
  std::optional<std::string> cublaslt = {};
  std::optional<std::string> cudnn = {};
};

// Every model's name, whatever it takes, with its own options.
struct NamedModel {
  std::string name;
  std::vector<Option> options;
};
Registry<NamedModel> models();
bool is_image_model(const std::string& name);

// In ASCII, with a line per key: what a path or a name has in it is escaped. The options of
// model, task, optimizer and schedule are keys beside the others, all of those that were chosen and
// none else. ValueError for a choice that cannot be.
std::string to_json(const Recipe& recipe, const RunFacts& facts = {});

// FileError "[recipe] path: key: got X, wanted Y" for what is no recipe. Facts are passed over.
Recipe recipe_from_json(const std::string& text, const std::string& path);

// A sequence model as its checkpoints name it, in their metadata.
struct StoredModel {
  Choice model;  // with all of its options
  bool every_step = false;
};
std::string to_json(const StoredModel& stored);
// FileError with the path for what is none.
StoredModel stored_model_from_json(const std::string& text, const std::string& path);

// The names of the keys in which two recipes differ, by what they have as JSON.
std::vector<std::string> differing_keys(const Recipe& a, const Recipe& b);

// ValueError where model, task, optimizer, schedule or one of their options cannot be, alone or
// beside the others.
void check_choices(const Recipe& recipe, const OptionNames& names = OptionNames::keys("recipe"));

// The recipe's schedule with its warm-up, over a run of so many steps per epoch. ValueError where
// the run is over before the schedule has an effect.
Schedule make_schedule(const Recipe& recipe, int64_t steps_per_epoch);

}  // namespace warptape
