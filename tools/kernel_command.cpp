// warptape kernel NAME

#include <fmt/format.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/device/on_device.h"
#include "tools/commands.h"
#include "tools/kernel_cases.h"
#include "tools/kernel_report.h"
#include "tools/numbers.h"
#include "training/json_text.h"

namespace warptape::tools {
namespace {

struct KernelOptions {
  std::string name;
  std::vector<int64_t> shape;
  std::string dtype = "float32";
  std::string json;
  std::string ptxas;
  bool list = false;
};

// Tables are made only where they are asked for, not at every start of the program.
std::string check_name(const std::string& given) {
  std::vector<std::string> names;
  for (const MeasuredCase& measured : measured_cases()) {
    names.push_back(measured.name);
  }
  return has_gpu ? CLI::IsMember(names)(given) : "";  // nothing has a name where nothing can run
}

void list_cases() {
  for (const MeasuredCase& measured : measured_cases()) {
    fmt::print("{:<22} {:<18} {}\n", measured.name, fmt::format("{}", measured.shape),
               measured.runs);
  }
}

void write_json(const std::string& path, const nlohmann::ordered_json& json) {
  if (path == "-") {
    fmt::print("{}", json_document(json));
    return;
  }
  std::ofstream file(path);
  file << json_document(json);
  file.close();
  check<FileError>(file.good(), "{}: cannot be written", escaped(path));
}

// The reports lie in the build that made this program.
std::string default_ptxas_folder() {
  return WARPTAPE_BUILD_DIR "/ptxas";
}

void profile_kernel(const KernelOptions& options) {
  const MeasuredCase& measured = find_measured_case(options.name);
  const Shape shape = options.shape.empty() ? measured.shape : Shape(options.shape);
  const DType dtype = options.dtype == "float64" ? float64 : float32;
  const KernelRun run = profile_case(measured, shape, dtype);
  const nlohmann::ordered_json ptxas =
      read_ptxas_reports(options.ptxas.empty() ? default_ptxas_folder() : options.ptxas);
  if (options.json != "-") {
    fmt::print("{} {} of {} {}, on the emulated device\n\n{}", measured.name, measured.runs, shape,
               to_string(dtype), to_text(run, ptxas));
  }
  if (!options.json.empty()) {
    nlohmann::ordered_json json{{"name", measured.name},
                                {"shape", std::vector<int64_t>(shape.begin(), shape.end())},
                                {"dtype", to_string(dtype)}};
    json.update(to_json(run, ptxas));
    write_json(options.json, json);
  }
}

constexpr const char* footer =
    "A request is one access by the 32 lanes of a warp. Columns:\n"
    "  requests   accesses of whole warps\n"
    "  asked MB   bytes that their lanes asked for\n"
    "  moved MB   32-byte sectors of device memory that the requests touch\n"
    "  effic. %   sectors that the distinct bytes would fill, of those touched\n"
    "  by 16 %    of what moved, in requests of 16 bytes a lane\n"
    "  idle %     lanes that take no part in a request\n"
    "  wavefr.    passes over shared memory per request\n"
    "  banks x    times as many passes as without bank conflicts\n"
    "docs/memory_profile.md explains them. Example:\n"
    "  warptape kernel weight_norm --shape 64,576 --json profile.json";

}  // namespace

void add_kernel_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "kernel", "Profile the memory accesses of a kernel, without a GPU (preset simt-profile)");
  auto options = std::make_shared<KernelOptions>();
  CLI::Option* name = command->add_option("name", options->name, "What to run: see --list");
  name->check(check_name, "");
  const NumberRule<int64_t> size{"a whole number above 0", [](int64_t value) { return value > 0; }};
  CLI::Option* shape =
      add_number(*command, "--shape", options->shape, size, "Sizes, as in 64,576 [1 MB or more]");
  CLI::Option* dtype = command->add_option("--dtype", options->dtype);
  dtype->capture_default_str()->check(CLI::IsMember({"float32", "float64"}));
  CLI::Option* json = command->add_option("--json", options->json,
                                          "Write a JSON object to FILE, or - for the output");
  json->type_name("FILE")->check(not_empty());
  CLI::Option* ptxas =
      command->add_option("--ptxas", options->ptxas, "Folder of ptxas's reports [the build's]");
  ptxas->type_name("DIR")->check(CLI::ExistingDirectory);
  CLI::Option* list =
      command->add_flag("--list", options->list, "Print what there is to run, with default shapes");
  for (CLI::Option* other : {name, shape, dtype, json, ptxas}) {
    list->excludes(other);
  }
  command->footer(footer);
  command->callback([options] {
    if (options->list && has_gpu) {
      list_cases();
      return;
    }
    if (!options->list && options->name.empty()) {
      throw CLI::RequiredError("name (or --list)");
    }
    check<ValueError>(simt::profile::is_built_in,
                      "this build cannot profile kernels: cmake --preset simt-profile makes one "
                      "that can");
    profile_kernel(*options);
  });
}

}  // namespace warptape::tools
