// warptape cost MODEL: what a training step asks of a GPU, launch by launch, made without one

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/device/on_device.h"
#include "tools/bench_cases.h"
#include "tools/commands.h"
#include "tools/cost_report.h"
#include "tools/kernel_cases.h"
#include "tools/numbers.h"

namespace warptape::tools {
namespace {

struct CostCommandOptions {
  std::string model;
  CostOptions sheet;
  std::string predict;
  bool json = false;
  bool cases = false;
};

// What `warptape bench kernels` times, launch by launch, for tools/fit_machine.py.
nlohmann::ordered_json json_of_cases() {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const MeasuredCase& measured : measured_cases()) {
    if (measured.is_product) {
      continue;
    }
    const Shape shape = shape_of_bytes(measured, bench_bytes);
    const auto launches = launches_of([&] { return measured.prepare(shape, float32).run; });
    json[measured.name] = {{"shape", std::vector<int64_t>(shape.begin(), shape.end())},
                           {"launches", json_of(launches)}};
  }
  return json;
}

void show_cost(const CostCommandOptions& options) {
  const CostSheet sheet = cost_sheet(step_cases().find(options.model), options.sheet);
  const MachineModel* machine = options.predict.empty() ? nullptr : &machine_model(options.predict);
  fmt::print("{}", options.json ? to_text(json_of(sheet, machine)) : to_text(sheet, machine));
}

}  // namespace

void add_cost_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "cost", "What a training step asks of a GPU, without one (presets simt, simt-profile)");
  auto options = std::make_shared<CostCommandOptions>();
  std::vector<std::string> names;
  const Registry<StepCase> cases = step_cases();
  for (const StepCase& known : cases.all()) {
    names.push_back(known.name);
  }
  CLI::Option* model = add_model_option(*command, options->model, names);
  const auto up_to_a_million = whole_number(1, 1 << 20);
  add_number(*command, "--batch-size", options->sheet.batch_size, up_to_a_million,
             "Default: the model's");
  add_number(*command, "--measure-at", options->sheet.measure_at, up_to_a_million,
             "Run steps of this small batch and of twice that, for what kernels ask of memory "
             "(preset simt-profile)");
  add_precision_option(*command, options->sheet.precision);
  command->add_option("--predict", options->predict, "Add times, by a model of this GPU")
      ->check(CLI::IsMember({h200().name}));
  command->add_flag("--json", options->json, "Print a JSON object");
  command
      ->add_flag("--cases", options->cases,
                 "Instead: the launches of what `bench kernels` times, for tools/fit_machine.py")
      ->excludes(model);
  command->footer(
      "docs/performance.md explains the figures and what they are good for. Example:\n"
      "  warptape cost simple_cnn --batch-size 512 --predict h200");
  command->callback([options, model] {
    if (options->cases) {
      fmt::print("{}\n", json_of_cases().dump());
      return;
    }
    if (model->empty()) {
      throw CLI::RequiredError("model");
    }
    show_cost(*options);
  });
}

}  // namespace warptape::tools
