#pragma once
// A forecast with what makes it believable: models of several seeds, chosen by the training part
// alone, on the same windows as the baselines.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "training/forecast/forecaster.h"

namespace warptape::forecasting {

struct StudyOptions {
  int64_t horizon = 12;           // rows that a forecast has
  std::optional<int64_t> test;    // last rows, which nothing learns from; nothing: horizon
  std::optional<int64_t> train;   // the test rows come behind so many; what follows them is unused
  int64_t stride = 1;             // rows between the windows of the test part
  std::optional<int64_t> season;  // nothing: found in the first series' training part
  std::optional<int64_t> input;   // nothing: two seasons, or 24 rows, fewer where rows are few
  std::optional<int64_t> chunk;   // nothing: a season or 12 rows, no more than the horizon
  std::optional<Residual> residual;  // nothing: chosen among last, seasonal, drift_seasonal, growth
  std::optional<bool> log = false;   // nothing: chosen, where all values are above 0
  std::optional<int64_t> epochs = 200;  // nothing: chosen among multiples of epochs_step
  int64_t max_epochs = 200;
  int64_t epochs_step = 10;
  int64_t choice_seeds = 3;  // models that a choice is made by, of each kind
  int64_t seeds = 10;
  uint64_t seed = 0;        // of the first model; the next ones count on
  int64_t jobs = 1;         // models that are trained side by side, each on a thread
  ForecasterOptions model;  // what is not named above
};

// A kind of model that was tried on the last rows of the training part.
struct Trial {
  Residual residual = Residual::None;
  bool log = false;
  int64_t epochs = 0;  // with the lowest error
  double error = 0;    // mape of its windows, mae where values are 0 or less; mean over the seeds
};

// Over the seeds.
struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};
Spread spread_of(std::vector<double> values);  // NaN where one is

struct StudyWindow {
  Origin origin;
  Values actual = {};                            // none behind the last row
  std::map<std::string, Values> forecasts = {};  // by method; of "tcn" the median over the seeds
  std::vector<Values> levels = {};               // of the tcn, likewise
  std::vector<Values> of_seeds = {};             // of each model
};

struct Study {
  StudyOptions options;             // all of them filled in
  std::vector<int64_t> train_rows;  // of each series
  int64_t training_windows = 0;
  int64_t parameters = 0;
  int64_t receptive_field = 0;
  std::string model;                 // printed
  std::vector<Trial> trials;         // empty: nothing was left to choose
  std::vector<StudyWindow> windows;  // of the test part
  std::vector<StudyWindow> future;   // behind the last row of each series, where all is known
  std::map<std::string, Errors> baselines;
  std::vector<Errors> tcn;       // of each seed
  std::vector<double> coverage;  // of each seed: values from the first level to the last one
  std::vector<double> pinball;   // of each seed: mean over levels
  std::vector<double> seconds;   // of each seed's training
  // What was learnt: how each series is scaled, and the tensors of each seed's model, on the CPU.
  std::vector<SeriesScales> scales;
  std::vector<StateDict> models;
};

// The baselines' names, in the order of reports.
const std::vector<std::string>& baseline_names();

struct StudyCallbacks {
  std::function<void(const Trial&)> on_trial = [](const Trial&) {};
  // A model has been trained: which of them, its errors. Called by one thread at a time, in the
  // order in which they end.
  std::function<void(int64_t, const Errors&)> on_seed = [](int64_t, const Errors&) {};
  std::function<bool()> should_stop = [] { return false; };  // the study ends with an Error
};

// ValueError names the option, or the series with too few rows.
Study run_study(const SeriesSet& data, StudyOptions options, const StudyCallbacks& callbacks = {});

}  // namespace warptape::forecasting
