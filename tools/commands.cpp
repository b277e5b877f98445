// What the commands share.

#include "tools/commands.h"
#include "core/check.h"
#include "core/device/gpu.h"
#include "core/device/on_device.h"
#include "core/parallel.h"
#include "tools/numbers.h"

namespace warptape::tools {
namespace {

// An emulated device is there to be asked for, not to be found.
bool has_real_gpu() {
  if constexpr (has_gpu) {
    return !gpu::is_emulated() && is_available(DeviceType::CUDA);
  }
  return false;
}

}  // namespace

void add_machine_options(CLI::App& command, MachineOptions& options) {
  command
      .add_option("--device", options.device,
                  "cpu, cuda, or auto: a GPU if there is one, else the CPU")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  add_number(command, "--threads", options.threads, whole_number(1, 1024), "CPU threads [all]");
  command
      .add_option(
          "--gpu-libraries", options.gpu_libraries,
          "cuBLASLt and cuDNN; auto: where they were measured to be faster than our kernels "
          "(see warptape info); on: wherever they can serve; off: our kernels alone "
          "[WARPTAPE_GPU_LIBRARIES, else auto]")
      ->check(CLI::IsMember({"auto", "on", "off"}));
  command.add_flag("--tf32", options.tf32,
                   "On a GPU round the factors of products to TF32: faster, 3 decimal digits");
}

void add_precision_option(CLI::App& command, std::string& precision, MachineOptions& machine) {
  command
      .add_option_function<std::string>(
          "--precision",
          [&precision, &machine](const std::string& name) {
            const bool is_tf32 = name == "tf32";
            precision = is_tf32 ? "float32" : name;
            if (is_tf32) {
              machine.tf32 = true;
              machine.tf32_option = "--precision tf32";
            }
          },
          "tf32: as --tf32; bf16: products and activations in bfloat16, parameters and losses in "
          "float32")
      ->default_str(precision)
      ->check(CLI::IsMember({"float32", "tf32", "bf16"}));
}

CLI::Option* add_graph_option(CLI::App& command, std::string& graph) {
  return command
      .add_option(
          "--graph", graph,
          "On a GPU queue a step as one CUDA graph, which costs the host a launch instead of "
          "dozens; same bits. auto: on a GPU")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "on", "off"}));
}

bool wants_graphs(const std::string& graph, Device device) {
  check<ValueError>(graph != "on" || device != cpu, "--graph on: got --device cpu, wanted a GPU");
  return graph != "off" && device != cpu;
}

CLI::Option* add_model_option(CLI::App& command, std::string& model,
                              const std::vector<std::string>& names) {
  return command.add_option("model", model, fmt::format("{}", fmt::join(names, ", ")))
      ->check(CLI::IsMember(names));
}

CLI::Validator not_empty() {
  return CLI::Validator(
      [](std::string& text) { return text.empty() ? "got an empty path" : std::string(); }, "");
}

Device apply(const MachineOptions& options) {
  if (options.threads > 0) {
    set_num_threads(options.threads);
  }
  // Asked for in any case, so that a bad value in the environment never passes.
  const GpuLibraries from_environment = gpu_libraries();
  set_gpu_libraries(options.gpu_libraries.empty()
                        ? from_environment
                        : parse_gpu_libraries("--gpu-libraries", options.gpu_libraries));
  set_tf32(options.tf32);
  const Device device = parse_device(options.device != "auto" ? options.device
                                     : has_real_gpu()         ? "cuda"
                                                              : "cpu");
  backend(device);  // throws where it is not there
  if (device == cpu) {
    const char* got =
        options.device == "cpu" ? "--device cpu" : "--device auto, which found no GPU";
    check<ValueError>(options.gpu_libraries.empty(), "--gpu-libraries {}: got {}, wanted a GPU",
                      options.gpu_libraries, got);
    check<ValueError>(!options.tf32, "{}: got {}, wanted a GPU", options.tf32_option, got);
  }
  return device;
}

std::string describe_device(Device device) {
  const std::string threads =
      fmt::format("{} thread{}", num_threads(), num_threads() == 1 ? "" : "s");
  if constexpr (has_gpu) {
    if (device.type == DeviceType::CUDA) {
      return fmt::format("{} ({})", to_string(device), gpu::properties().name);
    }
  }
  return fmt::format("{} with {}", to_string(device), threads);
}

std::string removed_wrappers_line(const std::string& path,
                                  const std::vector<std::string>& removed) {
  return removed.empty() ? ""
                         : fmt::format("{}: took \"{}.\" off its keys, as PyTorch's wrappers add\n",
                                       escaped(path), fmt::join(removed, ".\" and \""));
}

void print_removed_wrappers(const std::string& path, const std::vector<std::string>& removed) {
  fmt::print("{}", removed_wrappers_line(path, removed));
}

void load_checkpoint(const std::string& path, const StateDict& tensors, Module& model) {
  try {
    print_removed_wrappers(path, load_state_dict(model, tensors, {}));
  } catch (const ValueError& error) {
    throw ValueError(escaped(path) + ": " + error.what());
  }
}

std::string product_precision() {
  return tf32_is_on() ? "tf32" : "float32";
}

std::string version_of(const GpuLibrary& library) {
  return library.reason.empty() ? library.version : "absent";
}

std::string version() {
  return WARPTAPE_VERSION;
}

}  // namespace warptape::tools
