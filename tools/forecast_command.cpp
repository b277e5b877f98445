// warptape forecast

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/check.h"
#include "core/parallel.h"
#include "tools/commands.h"
#include "tools/end_signals.h"
#include "tools/numbers.h"
#include "training/forecast/report.h"
#include "training/forecast/saved.h"
#include "training/new_folder.h"

namespace warptape::tools {
namespace {

using namespace forecasting;

constexpr const char* who = "forecast";

struct ForecastCommand {
  std::string data;
  std::string out;
  std::string save;
  std::string checkpoint;
  SeriesOptions series;
  StudyOptions study;
  MachineOptions machine;
  std::string head = "direct";
  std::string likelihood = "point";
  std::string residual = "auto";
  std::string scale = "linear";
  std::optional<int64_t> max_epochs;
  std::optional<int64_t> jobs;
  bool no_linear_window = false;
  bool has_levels = false;
};

NumberRule<double> level() {
  return {"a number above 0 and below 1", [](double v) { return v > 0 && v < 1; }};
}
NumberRule<double> positive() {
  return {"a number above 0", [](double v) { return v > 0; }};
}
NumberRule<double> not_negative() {
  return {"a number of 0 or more", [](double v) { return v >= 0; }};
}
NumberRule<double> below_one() {
  return {"a number from 0 to below 1", [](double v) { return v >= 0 && v < 1; }};
}

// A share of the true values is none where one of them is 0.
std::string number_text(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "-";
}

// What each method says, and what the seeds make of it.
void print_table(const Study& study) {
  std::vector<double> mape;
  std::vector<double> mase;
  for (const Errors& errors : study.tcn) {
    mape.push_back(errors.mape);
    mase.push_back(errors.mase);
  }
  const Spread percent = spread_of(mape);
  const Spread scaled = spread_of(mase);
  fmt::print("{:<18} {:>8} {:>8}\n", "forecast", "MAPE, %", "MASE");
  fmt::print("{:<18} {:>8} {:>8}  median of {} seed{}; MAPE {} to {}\n", "tcn",
             number_text(percent.median, 2), number_text(scaled.median, 3), study.tcn.size(),
             study.tcn.size() == 1 ? "" : "s", number_text(percent.min, 2),
             number_text(percent.max, 2));
  for (const std::string& name : baseline_names()) {
    const Errors& errors = study.baselines.at(name);
    fmt::print("{:<18} {:>8} {:>8}\n", name, number_text(errors.mape, 2),
               number_text(errors.mase, 3));
  }
  if (!std::isfinite(percent.median)) {
    fmt::print("no MAPE: a value of the test part is 0\n");
  }
  if (!study.coverage.empty() && study.options.model.levels.size() > 1) {
    const std::vector<double>& levels = study.options.model.levels;
    fmt::print("{:.1f} % of values between the levels {} and {} (median; wanted {:.1f} %)\n",
               100 * spread_of(study.coverage).median, levels.front(), levels.back(),
               100 * (levels.back() - levels.front()));
  }
}

StudyCallbacks progress(const StudyOptions& options) {
  StudyCallbacks callbacks;
  callbacks.on_trial = [](const Trial& trial) {
    fmt::print("tried: adds to {:<14} {:<11} best after {:>4} epochs, error {:.3f}\n",
               to_string(trial.residual), trial.log ? "logarithms" : "", trial.epochs, trial.error);
    std::fflush(stdout);
  };
  callbacks.on_seed = [first = options.seed, done = int64_t{0}, all = options.seeds](
                          int64_t seed, const Errors& errors) mutable {
    ++done;
    fmt::print("seed {:<4} MAPE {} %, MASE {}  ({} of {})\n", first + static_cast<uint64_t>(seed),
               number_text(errors.mape, 2), number_text(errors.mase, 3), done, all);
    std::fflush(stdout);
  };
  callbacks.should_stop = [] { return end_signal() != 0; };
  return callbacks;
}

// How many models are side by side. On the CPU each is small: threads are for models beside each
// other, and what is left of them for each.
int64_t share_threads(const ForecastCommand& command, Device device, int64_t models) {
  const int64_t standard = device == cpu ? num_threads() : 1;
  const int64_t jobs = std::min(command.jobs.value_or(standard), models);
  if (device == cpu) {
    set_num_threads(std::max(1, num_threads() / static_cast<int>(jobs)));
  }
  return jobs;
}

void print_warnings(const SeriesSet& data) {
  for (const std::string& warning : data.warnings) {
    fmt::print(stderr, "warning: {}\n", warning);
  }
}

// Before hours of learning.
void check_save(const ForecastCommand& command) {
  if (command.save.empty()) {
    return;
  }
  const std::filesystem::path path(command.save);
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::error_code error;
  check<ValueError>(
      std::filesystem::is_directory(folder, error) && !std::filesystem::is_directory(path, error),
      "[forecast] --save {}: wanted a file in a folder that is there", escaped(command.save));
  check<ValueError>(!std::filesystem::equivalent(path, command.data, error),
                    "[forecast] --save {}: got the data's file, wanted another one",
                    escaped(command.save));
}

// By models that have learnt.
void forecast_by_checkpoint(const ForecastCommand& command) {
  SavedForecasters saved = load_forecasters(command.checkpoint);
  if (command.study.horizon > 0) {
    saved.columns.horizon = command.study.horizon;
  }
  saved.model.device = apply(command.machine);
  const auto models = static_cast<int64_t>(saved.models.size());
  const int64_t jobs = share_threads(command, saved.model.device, models);
  const SeriesSet data = read_series(command.data, saved.columns);
  print_warnings(data);
  end_in_order();
  const Study study = forecast_ahead(data, saved, jobs);
  fmt::print("{}: {} series, {} rows ahead, by {} model{} of {}\n", escaped(data.path),
             data.series.size(), saved.columns.horizon, models, models == 1 ? "" : "s",
             escaped(command.checkpoint));
  write_new_folder(command.out, {{"forecast.csv", forecast_csv(data, study)}}, who);
  fmt::print("{}: forecast.csv\n", escaped(command.out));
}

void run_forecast(ForecastCommand command) {
  check_new_folder(command.out, who);
  if (!command.checkpoint.empty()) {
    return forecast_by_checkpoint(command);
  }
  for (const auto& [flag, is_given] : {std::pair("--column", !command.series.columns.empty()),
                                       std::pair("--horizon", command.study.horizon > 0)}) {
    if (!is_given) {
      throw CLI::RequiredError(flag);
    }
  }
  check_save(command);
  StudyOptions& study = command.study;
  study.model.head = forecast_head(command.head);
  study.model.likelihood = likelihood(command.likelihood);
  if (command.residual != "auto") {
    study.residual = residual(command.residual);
  }
  study.log = command.scale == "auto" ? std::nullopt : std::optional(command.scale == "log");
  check<ValueError>(study.model.head == ForecastHead::Direct || command.residual == "auto",
                    "[forecast] --residual {}: got --head shifted, wanted direct",
                    command.residual);
  check<ValueError>(study.model.head == ForecastHead::Direct || !command.no_linear_window,
                    "[forecast] --no-linear-window: got --head shifted, wanted direct");
  check<ValueError>(!command.has_levels || command.likelihood != "point",
                    "[forecast] --levels: got --likelihood point, wanted gaussian or quantiles");
  if (command.max_epochs) {
    study.epochs = std::nullopt;
    study.max_epochs = *command.max_epochs;
  }
  study.model.linear_window = !command.no_linear_window;
  study.model.device = apply(command.machine);
  study.jobs = share_threads(command, study.model.device, study.seeds);
  command.series.horizon = study.horizon;
  const SeriesSet data = read_series(command.data, command.series);
  print_warnings(data);
  end_in_order();
  const Study result = run_study(data, study, progress(study));
  const StudyOptions& chosen = result.options;
  fmt::print("{}: {} series, season {}, input {}, {} windows to learn from, {} to forecast\n",
             escaped(data.path), data.series.size(), *chosen.season, *chosen.input,
             result.training_windows, result.windows.size());
  if (result.receptive_field < *chosen.input) {
    fmt::print(stderr,
               "warning: the receptive field of {} steps is short of the input of {} steps\n",
               result.receptive_field, *chosen.input);
  }
  print_table(result);
  write_new_folder(command.out,
                   {{"report.json", report_json(data, result)},
                    {"forecast.csv", forecast_csv(data, result)},
                    {"forecast.html", forecast_page(data, result)}},
                   who);
  fmt::print("{}: report.json, forecast.csv, forecast.html\n", escaped(command.out));
  if (!command.save.empty()) {
    save_forecasters(command.save, saved_of(result, command.series));
    fmt::print("{}: {} model{}\n", escaped(command.save), chosen.seeds,
               chosen.seeds == 1 ? "" : "s");
  }
}

void add_data_options(CLI::App& command, ForecastCommand& o) {
  command.add_option("--data", o.data, "A CSV file with a line of names")
      ->required()
      ->check(not_empty());
  command
      .add_option("--column", o.series.columns,
                  "What to forecast: a column, or several with commas between")
      ->delimiter(',')
      ->check(not_empty());
  command
      .add_option("--time", o.series.time,
                  "Column of times, ascending: 1949-01, 1949-01-31, 1949-01-31 13:45 or numbers")
      ->check(not_empty());
  command.add_option("--group", o.series.group, "Column that says which series a row is of")
      ->check(not_empty());
  command
      .add_option("--covariates", o.series.calendar,
                  "Of the times: month, quarter, day_of_week, day_of_month, day_of_year, hour")
      ->delimiter(',')
      ->check(CLI::IsMember(Times::features()))
      ->needs(command.get_option("--time"));
  command
      .add_option("--future-covariates", o.series.future_covariates,
                  "Columns that are known ahead; rows at the end may have them alone")
      ->delimiter(',')
      ->check(not_empty());
  command
      .add_option(
          "--past-covariates", o.series.past_covariates,
          "Columns of numbers that are known up to the newest value alone; of a direct head")
      ->delimiter(',')
      ->check(not_empty());
  command.add_option("--out", o.out, "New folder for report.json, forecast.csv and forecast.html")
      ->required()
      ->check(not_empty());
  command
      .add_option("--save", o.save,
                  "Safetensors file to write: the models, with all that forecasts by them need")
      ->check(not_empty());
}

void add_window_options(CLI::App& command, StudyOptions& o) {
  add_number(command, "--horizon", o.horizon, whole_number(1, 1 << 20), "Rows to forecast");
  add_number(command, "--input", o.input, whole_number(1, 1 << 20),
             "Rows that a forecast is made from [two seasons, or 24]");
  add_number(command, "--test", o.test, whole_number(1, 1 << 30),
             "Last rows, which nothing is learnt from; forecast from every row of them that has a "
             "whole horizon [the horizon]");
  add_number(command, "--train", o.train, whole_number(1, 1 << 30),
             "Learn from so many first rows; the test rows come next, and what follows is not used "
             "[all but the test rows]");
  add_number_with_default(command, "--stride", o.stride, whole_number(1, 1 << 20),
                          "Rows between two forecasts of the test rows");
  add_number(command, "--season", o.season, whole_number(1, 1 << 20),
             "Length of a season in rows; 1 for none [found in the training rows]");
  add_number(command, "--chunk", o.chunk, whole_number(1, 1 << 20),
             "Rows that the model gives at once; a longer horizon goes on from its own forecasts "
             "[the horizon, or a season where rows are few]");
}

void add_model_options(CLI::App& command, ForecastCommand& o) {
  ForecasterOptions& model = o.study.model;
  command
      .add_option("--head", o.head,
                  "direct: every forecast sees the newest value; shifted: as Darts' TCN, which "
                  "is trained on windows shifted by the chunk")
      ->capture_default_str()
      ->check(CLI::IsMember({"direct", "shifted"}));
  command.add_option("--likelihood", o.likelihood, "What is forecast of a value")
      ->capture_default_str()
      ->check(CLI::IsMember({"point", "gaussian", "quantiles"}));
  add_number(command, "--levels", model.levels, level(),
             "Of quantiles and of gaussian forecasts, 0.5 among them [0.1,0.5,0.9]");
  command
      .add_option("--residual", o.residual,
                  "What a direct head adds to: none, last, seasonal, drift_seasonal, growth; auto: "
                  "chosen on the last training rows")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "none", "last", "seasonal", "drift_seasonal", "growth"}));
  command
      .add_option("--scale", o.scale,
                  "Of values: linear or log; auto: chosen likewise, where all are above 0")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "linear", "log"}));
  add_number(command, "--channels", model.channels, whole_number(1, 1 << 16),
             "Of each block [8,8,8]");
  add_number_with_default(command, "--kernel-size", model.kernel_size, whole_number(1, 1 << 16));
  add_number_with_default(command, "--dilation-base", model.dilation_base, whole_number(1, 64));
  add_number_with_default(command, "--dropout", model.dropout, below_one());
  command.add_flag("--weight-norm", model.weight_norm, "Of the blocks' convolutions");
  command.add_flag("--no-linear-window", o.no_linear_window,
                   "A direct head without the linear function of the window that stands beside the "
                   "TCN");
  CLI::Option* epochs =
      add_number(command, "--epochs", o.study.epochs, whole_number(1, 1 << 20), "[200]");
  add_number(command, "--max-epochs", o.max_epochs, whole_number(1, 1 << 20),
             "Choose the epochs, up to so many, on the last training rows")
      ->excludes(epochs);
  add_number_with_default(command, "--batch-size", model.batch_size, count());
  add_number_with_default(command, "--lr", model.lr, positive(), "Of AdamW");
  add_number_with_default(command, "--weight-decay", model.weight_decay, not_negative());
  add_number_with_default(command, "--seeds", o.study.seeds, whole_number(1, 10000),
                          "Models that are trained; errors are their median and spread");
  add_number(command, "--jobs", o.jobs, whole_number(1, 1024),
             "Models side by side, with the same results [as many as threads; 1 on a GPU]");
  add_number_with_default(command, "--seed", o.study.seed, any_whole(), "Of the first model");
}

// Of models that have learnt, all but a few options stand in their file.
void add_checkpoint_option(CLI::App& command, ForecastCommand& o) {
  const std::vector<CLI::Option*> options = command.get_options();
  CLI::Option* checkpoint =
      command
          .add_option("--checkpoint", o.checkpoint,
                      "A file of --save: forecasts behind the last rows of --data by its models, "
                      "without learning")
          ->check(not_empty());
  for (CLI::Option* option : options) {
    const std::string name = option->get_name();
    if (name != "--help" && name != "--data" && name != "--horizon" && name != "--out" &&
        name != "--jobs") {
      checkpoint->excludes(option);
    }
  }
}

}  // namespace

void add_forecast_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "forecast", "Forecast series of a CSV file by TCNs, beside plain baselines");
  auto options = std::make_shared<ForecastCommand>();
  add_data_options(*command, *options);
  add_window_options(*command, options->study);
  add_model_options(*command, *options);
  add_checkpoint_option(*command, *options);
  add_machine_options(*command, options->machine);
  command->footer(
      R"(Errors are of the test rows, on the same windows for all: naive (the last value), seasonal_naive,
drift_seasonal (that and the slope from the first row to the last one) and linear_regression.
Examples:
  warptape forecast --data data/air_passengers.csv --column "#Passengers" --time Month \
      --horizon 12 --test 36 --covariates month --out runs/passengers
  warptape forecast --data sales.csv --column sold --group shop --time day --horizon 7 \
      --likelihood quantiles --future-covariates price --out runs/sales --save sales.safetensors
  warptape forecast --checkpoint sales.safetensors --data sales_later.csv --out runs/later)");
  options->study.horizon = 0;  // until it is given
  command->callback([options, command] {
    options->has_levels = command->count("--levels") > 0;
    run_forecast(*options);
  });
}

}  // namespace warptape::tools
