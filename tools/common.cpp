// What the sub-commands share.

#include "core/error.h"
#include "core/parallel.h"
#include "kernels/common/gpu_libraries.h"
#include "tools/commands.h"

namespace warptape::tools {

void add_machine_options(CLI::App& command, MachineOptions& options) {
  command.add_option("--device", options.device, "Where to run: auto or cpu (cuda: not yet)")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  command.add_option("--threads", options.threads, "CPU threads [all]")->check(CLI::Range(1, 1024));
  command
      .add_option("--gpu-libraries", options.gpu_libraries,
                  "on: cuBLASLt and cuDNN where they serve (see warptape info); off: our kernels")
      ->capture_default_str()
      ->check(CLI::IsMember({"on", "off"}));
  command.add_flag("--tf32", options.tf32,
                   "On a GPU let these libraries round factors to TF32: faster, 3 decimal digits");
}

CLI::Validator not_empty() {
  return CLI::Validator(
      [](std::string& text) { return text.empty() ? "got an empty path" : std::string(); }, "");
}

Device apply(const MachineOptions& options) {
  if (options.threads > 0) {
    set_num_threads(options.threads);
  }
  set_gpu_libraries(options.gpu_libraries == "on");
  set_tf32(options.tf32);
  const Device device = options.device == "auto" ? cpu : parse_device(options.device);
  backend(device);  // throws where it is not there
  check<DeviceError>(device == cpu,
                     "[device] {}: the models do not run there yet, as convolutions have no CUDA "
                     "kernel; wanted --device cpu",
                     to_string(device));
  return device;
}

void load_checkpoint(const std::string& path, const StateDict& tensors, Module& model) {
  try {
    load_state_dict(model, tensors, {});
  } catch (const ValueError& error) {
    throw ValueError(path + ": " + error.what());
  }
}

std::string version() {
  return WARPTAPE_VERSION;
}

}  // namespace warptape::tools
