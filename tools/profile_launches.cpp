// warptape profile MODEL --launches, --predict GPU: what a training step asks of a GPU, launch by
// launch, made without one

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "core/device/device.h"
#include "emulator/profile/profile.h"
#include "tools/bench_cases.h"
#include "tools/commands.h"
#include "tools/cost_report.h"
#include "tools/kernel_cases.h"
#include "tools/numbers.h"
#include "tools/profile_launches.h"
#include "training/json_text.h"

namespace warptape::tools {
namespace {

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

}  // namespace

void add_launches_options(CLI::App& command, LaunchesOptions& options) {
  command.add_flag("--launches", options.wanted,
                   "Instead: what a step asks of a GPU, launch by launch, on the emulated device "
                   "(presets simt, simt-profile), of which none runs. In preset simt-profile "
                   "--device cuda is taken for that");
  command
      .add_option("--predict", options.predict,
                  "The same with times, by a model of this GPU (docs/performance.md)")
      ->check(CLI::IsMember({h200().name}));
  add_number(command, "--measure-at", options.measure_at, whole_number(1, 1 << 20),
             "With --launches run steps of this small batch and of twice that, for what kernels "
             "ask of memory (preset simt-profile)");
  command.add_flag("--cases", options.cases,
                   "Instead: the launches of what `bench kernels` times, for tools/fit_machine.py");
}

bool LaunchesOptions::are_asked_for(const std::string& device) const {
  const bool counts = simt::profile::is_built_in && device == "cuda";
  return wanted || counts || !predict.empty() || measure_at > 0;
}

std::string launches_text(const std::string& model, int64_t batch_size,
                          const std::string& precision, const LaunchesOptions& options,
                          bool as_json) {
  CostSheet sheet = cost_sheet(
      step_cases().find(model),
      {.batch_size = batch_size, .precision = precision, .measure_at = options.measure_at});
  if (precision == "float32") {
    sheet.precision = product_precision();
  }
  const MachineModel* machine = options.predict.empty() ? nullptr : &machine_model(options.predict);
  return as_json ? json_document(json_of(sheet, machine)) : to_text(sheet, machine);
}

std::string launches_of_cases() {
  return json_line(json_of_cases()) + "\n";
}

}  // namespace warptape::tools
