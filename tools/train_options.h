#pragma once
#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tools/commands.h"
#include "tools/numbers.h"
#include "training/optimizer.h"
#include "training/schedule.h"

namespace warptape::tools {

// The command line of `warptape train`.
struct TrainOptions {
  std::string model = "simple_cnn";
  std::string data;
  int64_t image_size = 32;
  std::vector<double> mean;
  std::vector<double> std;
  std::optional<int64_t> classes;
  double validation = 0;
  int64_t epochs = 15;
  int64_t max_steps = 0;  // 0: no limit
  int64_t batch_size = 64;
  bool drop_last = false;
  std::string optimizer = "adam";
  double lr = 1e-3;
  std::optional<double> momentum;
  bool nesterov = false;
  std::optional<double> weight_decay;
  std::string schedule = "constant";
  int64_t warmup_steps = 0;
  std::optional<int64_t> step_epochs;
  std::optional<double> gamma;
  std::optional<double> min_lr;
  double clip_norm = 0;  // 0: no clipping
  std::string dtype = "float32";
  uint64_t seed = 0;
  bool no_shuffle = false;
  bool no_weight_norm = false;
  std::string init;
  std::string out;
  std::string data_on_device = "auto";
  MachineOptions machine;
};

void add_options(CLI::App& command, TrainOptions& options);

// ValueError for options of which one says that another does not apply.
void check_combinations(const TrainOptions& options);

// What is given, or the default.
double weight_decay(const TrainOptions& options);
double momentum(const TrainOptions& options);
int64_t step_epochs(const TrainOptions& options);
double gamma(const TrainOptions& options);
double min_lr(const TrainOptions& options);

std::unique_ptr<Optimizer> make_optimizer(const TrainOptions& options, ParameterStates parameters);
// ValueError where the run is over before the schedule has an effect.
ScheduleOptions make_schedule(const TrainOptions& options, int64_t steps_per_epoch);

}  // namespace warptape::tools
