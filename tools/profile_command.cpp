// warptape profile MODEL

#include <fmt/format.h>

#include <fstream>
#include <memory>
#include <utility>

#include "core/check.h"
#include "core/device/on_device.h"
#include "tools/ceilings.h"
#include "tools/commands.h"
#include "tools/device_recording.h"
#include "tools/numbers.h"
#include "tools/output_files.h"
#include "tools/profile_launches.h"
#include "tools/step_run.h"
#include "training/profile/step_profile.h"

namespace warptape::tools {
namespace {

struct ProfileOptions {
  std::string model;
  std::string precision = "float32";
  int64_t batch_size = 0;  // 0: the case's own
  int64_t warmup = 3;
  int64_t steps = 10;
  int64_t rows = 20;
  std::string json;
  std::string trace;
  std::string html;
  MachineOptions machine;
  LaunchesOptions launches;
};

// Recorded steps behind the warm-up, then as many that are not. The model is made while memory is
// recorded, so that what holds it has names.
profiling::Captured capture(const ProfileOptions& options, const StepCase& step_case,
                            Device device) {
  profiling::Captured captured;
  captured.device = device;
  captured.precision = options.precision;
  captured.batch_size = options.batch_size == 0 ? step_case.batch_size : options.batch_size;
  captured.steps = options.steps;
  captured.model = fmt::format("{}, {}", options.model, step_case.description);
  captured.machine = describe_device(device);
  captured.ceilings = measure_ceilings(device, options.precision == "bf16");
  DeviceRecording recording(device);
  StepRun run(step_case, captured.batch_size, options.precision, device);
  for (int64_t step = 0; step < options.warmup + options.steps; ++step) {
    run.queue();
  }
  run.finish();
  recording.stop(captured);
  captured.layers = profiling::layer_paths(run.model());
  captured.blocks = profiling::block_names(run.model());
  for (int64_t step = 0; step < options.steps; ++step) {
    run.queue();
  }
  run.finish();
  captured.plain_ms = run.times_ms(options.warmup + options.steps);
  return captured;
}

void write(const std::string& path, const std::string& text) {
  if (path.empty()) {
    return;
  }
  std::ofstream file(path);
  file << text;
  file.close();
  check<FileError>(file.good(), "{}: cannot be written", escaped(path));
}

void list_launches(const ProfileOptions& options) {
  for (const auto& [name, path] :
       {std::pair{"--trace", &options.trace}, {"--html", &options.html}}) {
    check<ValueError>(path->empty(), "profile: {} shows times, and launches have none", name);
  }
  check<ValueError>(options.machine.device != "cpu",
                    "profile: launches are a GPU's: got --device cpu, wanted cuda");
  if constexpr (has_gpu) {
    MachineOptions machine = options.machine;
    machine.device = "cuda";
    apply(machine);
  }
  const auto text = [&](bool as_json) {
    return launches_text(options.model, options.batch_size, options.precision, options.launches,
                         as_json);
  };
  check_outputs({{"--json", options.json == "-" ? "" : options.json}}, {}, "profile");
  fmt::print("{}", text(options.json == "-"));
  if (!options.json.empty() && options.json != "-") {
    write(options.json, text(true));
  }
}

void profile_steps(const ProfileOptions& options) {
  const bool prints_json = options.json == "-";
  check_outputs({{"--json", prints_json ? "" : options.json},
                 {"--trace", options.trace},
                 {"--html", options.html}},
                {}, "profile");
  const Device device = apply(options.machine);
  const profiling::Captured captured = capture(options, step_cases().find(options.model), device);
  const profiling::Report report = profiling::analyse(captured);
  fmt::print("{}", prints_json
                       ? profiling::as_json(captured, report)
                       : profiling::as_text(captured, report, static_cast<size_t>(options.rows)));
  write(prints_json ? "" : options.json,
        options.json.empty() ? "" : profiling::as_json(captured, report));
  write(options.trace, options.trace.empty() ? "" : profiling::as_trace(captured));
  write(options.html, options.html.empty() ? "" : profiling::as_page(captured, report));
}

constexpr const char* footer =
    "A row is what one op of one layer takes per step, forward or backward, without the ops that "
    "it\n"
    "calls. Its bytes and FLOPs are what its operands' shapes make it move and compute, each "
    "operand\n"
    "once; copy% and fma% compare with a plain copy, and with multiplications and additions that\n"
    "stay in registers, of this run. A dash: the op does not tell.\n"
    "--launches and --predict need no GPU: docs/performance.md says what their figures are good "
    "for.\n"
    "docs/profile.md is a guide from a slow step to the line of a kernel. Examples:\n"
    "  warptape profile simple_cnn --html profile.html --trace profile.json\n"
    "  warptape profile tcn_c64 --device cuda --precision bf16\n"
    "  warptape profile simple_cnn --batch-size 512 --predict h200";

}  // namespace

void add_profile_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "profile", "Show where training steps spend time and memory, op by op and layer by layer");
  auto options = std::make_shared<ProfileOptions>();
  const auto up_to_a_million = whole_number(1, 1 << 20);
  const std::vector<std::string> names = step_cases().names();
  add_model_option(*command, options->model, names);
  add_number(*command, "--batch-size", options->batch_size, up_to_a_million,
             "Default: the model's");
  add_number_with_default(*command, "--steps", options->steps, whole_number(1, 1000),
                          "Recorded steps");
  add_number_with_default(*command, "--warmup", options->warmup, whole_number(1, 1000),
                          "Steps before them");
  add_number_with_default(*command, "--rows", options->rows, whole_number(0, 1 << 20),
                          "Of each table; 0: all");
  const auto add_file = [&](const char* name, std::string& path, const char* what) {
    command->add_option(name, path, what)->type_name("FILE")->check(not_empty());
  };
  add_file("--json", options->json, "Write a JSON object to FILE, or - for the output");
  add_file("--trace", options->trace,
           "Write the steps in the Chrome trace event format, for ui.perfetto.dev");
  add_file("--html", options->html, "Write one page: roofline, step, memory, tables");
  add_precision_option(*command, options->precision, options->machine);
  add_machine_options(*command, options->machine);
  add_launches_options(*command, options->launches);
  command->footer(footer);
  add_profile_kernel_command(*command);
  command->callback([command, options] {
    if (!command->get_subcommands().empty()) {
      return;
    }
    if (options->launches.cases) {
      fmt::print("{}", launches_of_cases());
      return;
    }
    if (options->model.empty()) {
      throw CLI::RequiredError("model");
    }
    if (options->launches.are_asked_for(options->machine.device)) {
      list_launches(*options);
      return;
    }
    profile_steps(*options);
  });
}

}  // namespace warptape::tools
