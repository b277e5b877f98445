// warptape study

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "core/parallel.h"
#include "tools/commands.h"
#include "tools/end_signals.h"
#include "tools/numbers.h"
#include "tools/train_options.h"
#include "training/study/page.h"
#include "training/study/study.h"

namespace warptape::tools {
namespace {

using weight_norm_study::Cell;
using weight_norm_study::Results;
using weight_norm_study::StudyPlan;

struct StudyCommand {
  std::string out;
  std::string model = "both";
  std::string data;
  std::string task = "adding";
  std::vector<std::string> methods;
  std::vector<std::string> optimizers;
  std::vector<double> learning_rates;
  std::optional<int64_t> epochs;
  int64_t seeds = StudyPlan().seeds;
  std::optional<int64_t> jobs;
  bool quiet = false;
  MachineOptions machine;
};

template <class Name, class All>
std::vector<std::string> names_of(const All& all, const Name& name) {
  std::vector<std::string> names;
  for (const auto& each : all) {
    names.emplace_back(name(each));
  }
  return names;
}

std::vector<std::string> method_names() {
  return names_of(weight_norm_study::all_methods(),
                  [](weight_norm_study::Method method) { return to_string(method); });
}

std::vector<std::string> optimizer_names() {
  return names_of(StudyPlan().optimizers, [](const auto& grid) { return grid.name; });
}

// Whether a list of names that was given has this one; all where none was.
bool is_asked_for(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

StudyPlan plan_of(const StudyCommand& command, Device device, int threads) {
  StudyPlan plan;
  if (command.model != "tcn") {
    const std::string data = command.data.empty() ? shipped_digits() : command.data;
    plan.recipes.push_back(
        weight_norm_study::image_recipe(std::filesystem::absolute(data).string()));
  }
  if (command.model != "simple_cnn") {
    plan.recipes.push_back(weight_norm_study::sequence_recipe(command.task));
  }
  for (Recipe& recipe : plan.recipes) {
    recipe.device = to_string(device);
    recipe.epochs = command.epochs.value_or(recipe.epochs);
    recipe.threads = threads;
  }
  std::erase_if(plan.methods, [&](weight_norm_study::Method method) {
    return method != weight_norm_study::Method::Plain &&
           !is_asked_for(command.methods, to_string(method));
  });
  std::erase_if(plan.optimizers,
                [&](const auto& grid) { return !is_asked_for(command.optimizers, grid.name); });
  for (auto& grid : plan.optimizers) {
    grid.learning_rates =
        command.learning_rates.empty() ? grid.learning_rates : command.learning_rates;
  }
  plan.seeds = command.seeds;
  return plan;
}

void print_cell(const Results& results, const Cell* cell) {
  if (cell == nullptr) {
    fmt::print("{} of {} runs are there already\n", results.finished(), results.cells().size());
  } else {
    const auto at = std::find(results.cells().begin(), results.cells().end(), *cell);
    const weight_norm_study::EpochRow& last =
        results.rows(static_cast<size_t>(at - results.cells().begin())).back();
    fmt::print("{:<50} {}  ({} of {})\n", name_of(results.plan(), *cell),
               last.diverged ? fmt::format("diverged in epoch {}", last.epoch)
                             : fmt::format("loss {:.4g}", last.loss),
               results.finished(), results.cells().size());
  }
  std::fflush(stdout);
}

void run_weight_norm_study(const StudyCommand& command) {
  const int threads = std::max(1, command.machine.threads);  // of one run
  const int64_t cpus = num_threads();
  const Device device = apply(command.machine);
  const StudyPlan plan = plan_of(command, device, threads);
  weight_norm_study::StudyRunOptions options;
  options.jobs = command.jobs.value_or(device == cpu ? std::max<int64_t>(1, cpus / threads) : 1);
  if (!command.quiet) {
    options.on_cell = print_cell;
  }
  options.should_stop = [] { return end_signal() != 0; };
  end_in_order();
  const Results results = run_study(plan, command.out, options);
  if (const int signal = end_signal(); signal != 0) {
    fmt::print(stderr, "stopped after {} of {} runs; the same command goes on from there\n",
               results.finished(), results.cells().size());
    throw CLI::RuntimeError(128 + signal);
  }
  fmt::print("{}{}: plan.json, results.csv, index.html\n", weight_norm_study::claims_text(results),
             escaped(command.out));
}

void add_weight_norm_command(CLI::App& study) {
  CLI::App* command = study.add_subcommand(
      "weight-norm", "Train models with and without weight norm, and say what it changed");
  auto options = std::make_shared<StudyCommand>();
  command->add_option("out", options->out, "Folder of the study; one that is there goes on")
      ->required()
      ->check(not_empty());
  command->add_option("--model", options->model, "simple_cnn, of images; tcn, of sequences")
      ->capture_default_str()
      ->check(CLI::IsMember({"simple_cnn", "tcn", "both"}));
  command->add_option("--data", options->data, "Folder of images for simple_cnn [shipped digits]")
      ->check(not_empty());
  command->add_option("--task", options->task, "Of tcn: a task that makes its own data")
      ->capture_default_str()
      ->check(not_empty());
  command->add_option("--methods", options->methods, "Beside plain weights [all]")
      ->delimiter(',')
      ->check(CLI::IsMember(method_names()));
  command->add_option("--optimizers", options->optimizers, "[all]")
      ->delimiter(',')
      ->check(CLI::IsMember(optimizer_names()));
  add_number(*command, "--learning-rates", options->learning_rates,
             NumberRule<double>{"a number above 0", [](double v) { return v > 0; }},
             "Of all optimizers [0.01,0.1,1 of sgd; 0.0003,0.003,0.03 of adam]");
  add_number_with_default(*command, "--seeds", options->seeds, whole_number(1, 10000),
                          "Runs of each kind");
  add_number(*command, "--epochs", options->epochs, whole_number(1, 1 << 20), "[10]");
  add_number(*command, "--jobs", options->jobs, whole_number(1, 1024),
             "Runs side by side, with the same results but for times [as many as CPUs; 1 on a "
             "GPU]");
  command->add_flag("--quiet", options->quiet, "No line per run");
  add_machine_options(*command, options->machine);
  command->footer(
      R"(The folder gets plan.json, results.csv and index.html after every run. A study that was stopped
goes on when the command is given again. --threads is of one run [1].
Examples:
  warptape study weight-norm studies/all
  warptape study weight-norm studies/adam --model tcn --optimizers adam --learning-rates 0.001,0.01
docs/weight_norm_study.md says what the figures mean.)");
  command->callback([options] { run_weight_norm_study(*options); });
}

}  // namespace

void add_study_command(CLI::App& program) {
  CLI::App* study = program.add_subcommand("study", "Compare ways to train, over many runs");
  study->require_subcommand(1);
  add_weight_norm_command(*study);
}

}  // namespace warptape::tools
