// warptape train MODEL

#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

#include "kernels/vendor/onednn.h"
#include "tools/commands.h"
#include "tools/end_signals.h"
#include "tools/train_options.h"
#include "training/file.h"
#include "training/progress.h"
#include "training/run.h"

namespace warptape::tools {
namespace {

constexpr const char* run_files =
    "metrics.csv, steps.csv, config.json, last.safetensors, best.safetensors, "
    "checkpoint.safetensors";

RunFacts facts_of(const TrainingRun& run) {
  RunFacts facts = run.facts();
  facts.warptape = version();
  if (onednn_is_built_in()) {
    facts.onednn = onednn_version();
  }
  if (run.device() != cpu) {  // runs on the CPU load no libraries of a GPU
    facts.cublaslt = version_of(cublas_library());
    facts.cudnn = version_of(cudnn_library());
  }
  return facts;
}

// Recipes have whole paths; what lies below the current folder is shown as people type it.
std::string shown(const std::string& path) {
  const std::string below =
      std::filesystem::path(path).lexically_proximate(std::filesystem::current_path()).string();
  return escaped(below.starts_with("..") ? path : below);
}

void print_header(TrainingRun& run) {
  const Recipe& recipe = run.recipe();
  const RunFacts facts = run.facts();
  const TaskParts& parts = run.parts();
  fmt::print("{}: {} training, {}{} test {} of {}{}\n", facts.data_kind, facts.train_rows,
             run.has_validation() ? fmt::format("{} validation, ", facts.validation_rows) : "",
             facts.test_rows, parts.rows, parts.data_shape,
             recipe.data.empty() ? "" : fmt::format(" ({})", shown(recipe.data)));
  const bool by_onednn = run.device() == cpu && recipe.dtype == "float32" && onednn_is_built_in();
  fmt::print("{}\n{} parameters, {}, on {}{}\n", to_string(run.model()), facts.parameters,
             recipe.precision == "float32" ? recipe.dtype : recipe.precision,
             describe_device(run.device()), by_onednn ? ", oneDNN " + onednn_version() : "");
  for (const std::string& warning : parts.warnings) {
    fmt::print(stderr, "{}\n", warning);
  }
}

void print_best(const EpochMetrics& best, const RunColumns& columns, const std::string& folder) {
  std::string metric;
  if (best.test->metric) {
    metric = columns.metric == "accuracy"
                 ? fmt::format("test {} {:.2f} %, ", columns.metric, 100 * *best.test->metric)
                 : fmt::format("test {} {:.4g}, ", columns.metric, *best.test->metric);
  }
  fmt::print("best: epoch {}, {}test loss {:.4g}\n{}: {}\n", best.epoch, metric, best.test->loss,
             escaped(folder), run_files);
}

// Trains to the end, or to a signal; the exit status.
int train(TrainingRun& run, RunFolder& folder, const TrainOptions& options) {
  const auto say = [](const std::string& text) { fmt::print(stderr, "{}\n", text); };
  GraphOptions graph{.use = wants_graphs(options.graph, run.device()), .on_warning = say};
  if (options.verbose) {
    graph.on_detail = say;
  }
  run.set_graphs(std::move(graph));
  Progress progress(run.recipe().epochs, run.steps_per_epoch(), run.columns());
  TrainingCallbacks callbacks;
  callbacks.on_step = [&](const StepMetrics& step) { progress.on_step(step); };
  callbacks.on_epoch = [&](const EpochMetrics& epoch) { progress.on_epoch(epoch); };
  callbacks.should_stop = [] { return end_signal() != 0; };
  TrainingPosition saved;
  callbacks.on_checkpoint = [&](const TrainingPosition& position) { saved = position; };
  end_in_order();
  print_best(run.train(folder, callbacks), run.columns(), folder.path());
  if (end_signal() == 0) {
    return 0;
  }
  fmt::print("stopped after step {}; to go on: warptape train --resume {}\n", saved.step,
             escaped(folder.path()));
  return 128 + end_signal();
}

int begin(const TrainOptions& options) {
  check_combinations(options);
  const Device device = apply(options.machine);
  wants_graphs(options.graph, device);  // throws for what cannot be
  TrainingRun run(make_recipe(options, device));
  if (run.recipe().init) {
    print_removed_wrappers(*run.recipe().init, run.parts().removed_wrappers);
  }
  const Recipe& recipe = run.recipe();
  RunFolder folder(options.out.empty() ? RunFolder::make_default(run.name()) : options.out,
                   to_json(recipe, facts_of(run)), run.columns());
  print_header(run);
  return train(run, folder, options);
}

int resume(const TrainOptions& options) {
  const std::string& path = options.resume;
  const std::string config = path + "/config.json";
  const Recipe recipe = recipe_from_json(read_file(config, 1 << 20, "train"), config);
  apply({.device = recipe.device,
         .threads = static_cast<int>(recipe.threads),
         .gpu_libraries = recipe.gpu_libraries.value_or(""),
         .tf32 = recipe.tf32.value_or(false)});
  TrainingRun run(recipe);
  // A run that was killed before its first checkpoint begins anew.
  const std::string checkpoint = path + "/checkpoint.safetensors";
  if (std::filesystem::exists(checkpoint)) {
    try {
      run.restore(load_run_state(checkpoint));
    } catch (const ValueError& error) {
      throw ValueError(fmt::format("{}: {}", escaped(checkpoint), error.what()));
    }
  }
  print_header(run);
  const TrainingPosition from = run.position();
  if (run.is_complete()) {
    fmt::print("the run is complete: {} steps, {} epochs\n", from.step, from.epoch - 1);
    print_best(*from.best, run.columns(), path);
    return 0;
  }
  RunFolder folder = RunFolder::reopen(path, from, run.columns());
  fmt::print("going on after step {}, in epoch {}\n", from.step, from.epoch);
  return train(run, folder, options);
}

}  // namespace

void add_train_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand("train", "Train a model of images or of sequences");
  auto options = std::make_shared<TrainOptions>();
  options->recipe.model.name.clear();
  add_options(*command, *options);
  command->callback([options] {
    if (options->resume.empty() && options->recipe.model.name.empty()) {
      throw CLI::RequiredError("model");
    }
    const int status = options->resume.empty() ? begin(*options) : resume(*options);
    if (status != 0) {
      throw CLI::RuntimeError(status);
    }
  });
}

}  // namespace warptape::tools
