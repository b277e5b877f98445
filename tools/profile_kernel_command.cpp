// warptape profile kernel NAME

#include <fmt/format.h>

#include <memory>

#include "core/check.h"
#include "core/device/gpu.h"
#include "core/device/on_device.h"
#include "core/profile.h"
#include "tools/commands.h"
#include "tools/kernel_cases.h"
#include "tools/numbers.h"
#include "tools/plan_notes.h"

namespace warptape::tools {
namespace {

struct ProfileKernelOptions {
  std::string name;
  std::vector<int64_t> shape;
  std::string dtype = "float32";
};

std::string check_name(const std::string& given) {
  std::vector<std::string> names;
  for (const MeasuredCase& measured : measured_cases()) {
    names.push_back(measured.name);
  }
  return has_gpu ? CLI::IsMember(names)(given) : "";
}

// The command that Nsight Compute is given for the kernels of the second run.
std::string ncu_line(const ProfileKernelOptions& options, uint64_t skipped, uint64_t count) {
  return fmt::format(
      "ncu --set full --import-source yes --launch-skip {} --launch-count {} -o {} warptape "
      "profile "
      "kernel {}{}{}",
      skipped, count, options.name, options.name,
      options.shape.empty() ? "" : fmt::format(" --shape {}", fmt::join(options.shape, ",")),
      options.dtype == "float32" ? "" : " --dtype " + options.dtype);
}

void run_kernel(const ProfileKernelOptions& options) {
  if constexpr (has_gpu) {
    const MeasuredCase& measured = find_measured_case(options.name);
    const Shape shape = !options.shape.empty() ? Shape(options.shape)
                        : gpu::is_emulated()   ? measured.shape
                                               : shape_of_bytes(measured, bench_bytes);
    set_gpu_libraries(GpuLibraries::Off);  // which kernel runs is ours to say
    const PreparedKernels prepared =
        measured.prepare(shape, options.dtype == "float64" ? float64 : float32);
    prepared.run();  // allocates what the second run finds in caches
    gpu::synchronize();
    const uint64_t before = gpu::launches;
    const PlanNotes notes;
    profile::start();
    prepared.run();
    gpu::synchronize();
    const profile::Recording recording = profile::stop_recording();
    fmt::print("{} {} of {} {}, on {}\n", measured.name, measured.runs, shape, options.dtype,
               describe_device(cuda));
    for (const profile::Launch& launch : recording.launches) {
      fmt::print("  {} <{} x {}>{}\n", launch.name, launch.size.blocks, launch.size.threads,
                 launch.name == prepared.left_out ? " (not of the op)" : "");
    }
    for (const std::string& plan : notes.plans()) {
      fmt::print("  plan: {}\n", plan);
    }
    fmt::print("  {} bytes have to move\n", prepared.counted_bytes);
    fmt::print("Nsight Compute sees these launches by\n  {}\n",
               ncu_line(options, before, gpu::launches - before));
  }
}

constexpr const char* kernel_footer =
    "Runs the kernels of one measured case twice; Nsight Compute is told to look at the second "
    "run.\n"
    "`warptape kernel --list` has the names, `warptape bench kernels --only NAME` the times.\n"
    "Example:\n"
    "  warptape profile kernel weight_norm --shape 4096,4096";

}  // namespace

void add_profile_kernel_command(CLI::App& profile) {
  CLI::App* command = profile.add_subcommand(
      "kernel", "Run the kernels of one op alone, for Nsight Compute, and print its command");
  auto options = std::make_shared<ProfileKernelOptions>();
  command->add_option("name", options->name, "What to run: see warptape kernel --list")
      ->required()
      ->check(check_name, "");
  const NumberRule<int64_t> size{"a whole number above 0", [](int64_t value) { return value > 0; }};
  add_number(*command, "--shape", options->shape, size,
             "Sizes, as in 64,576 [256 MB; emulated: 1 MB or more]");
  command->add_option("--dtype", options->dtype)
      ->capture_default_str()
      ->check(CLI::IsMember({"float32", "float64"}));
  command->footer(kernel_footer);
  command->callback([options] {
    apply({.device = has_gpu ? "cuda" : "auto"});
    check<DeviceError>(has_gpu,
                       "[profile kernel] device: this build has no device cuda (presets cuda and "
                       "simt have)");
    run_kernel(*options);
  });
}

}  // namespace warptape::tools
