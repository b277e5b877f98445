#pragma once
// The sub-commands of `warptape`. Each adds itself to the program; what it returns at run time is
// the exit status.

#include <CLI/CLI.hpp>

#include "core/device/device.h"
#include "kernels/vendor/gpu_libraries.h"
#include "layers/state_dict.h"

namespace warptape::tools {

void add_train_command(CLI::App& program);
void add_predict_command(CLI::App& program);
void add_bench_command(CLI::App& program);
void add_bench_kernels_command(CLI::App& bench);      // of `warptape bench`
void add_bench_stream_command(CLI::App& bench);       // likewise
void add_bench_conv1d_command(CLI::App& bench);       // likewise
void add_bench_weight_norm_command(CLI::App& bench);  // likewise
void add_convert_command(CLI::App& program);
void add_info_command(CLI::App& program);
void add_stream_command(CLI::App& program);
void add_sample_command(CLI::App& program);
void add_inspect_command(CLI::App& program);
void add_kernel_command(CLI::App& program);
void add_profile_command(CLI::App& program);
void add_profile_kernel_command(CLI::App& profile);  // of `warptape profile`
void add_forecast_command(CLI::App& program);
void add_study_command(CLI::App& program);

// Options that several commands have.
struct MachineOptions {
  std::string device = "auto";
  int threads = 0;                 // 0: the machine's
  std::string gpu_libraries = {};  // empty: as the environment says
  bool tf32 = false;
  const char* tf32_option = "--tf32";  // by which it was asked for
};
void add_machine_options(CLI::App& command, MachineOptions& options);

// --precision float32|tf32|bf16 of models. tf32 is float32 with machine.tf32.
void add_precision_option(CLI::App& command, std::string& precision, MachineOptions& machine);

// --graph auto|on|off of what trains, and what it says: on a GPU yes, unless it is off. ValueError
// for "on" without one.
CLI::Option* add_graph_option(CLI::App& command, std::string& graph);
bool wants_graphs(const std::string& graph, Device device);

// The model's name, as the first word: one of these.
CLI::Option* add_model_option(CLI::App& command, std::string& model,
                              const std::vector<std::string>& names);

// For paths: refuses "", which a script passes for a variable that is not set.
CLI::Validator not_empty();

// Sets the number of threads and what the GPU's libraries may do, and returns the device;
// DeviceError where it is not there.
Device apply(const MachineOptions& options);

// "cpu with 2 threads", "cuda:0 (NVIDIA H200)".
std::string describe_device(Device device);

// A line where something was taken off a checkpoint's keys, else nothing; the same on standard
// output.
std::string removed_wrappers_line(const std::string& path, const std::vector<std::string>& removed);
void print_removed_wrappers(const std::string& path, const std::vector<std::string>& removed);

// load_state_dict with the checkpoint's path in front of its message, and that line.
void load_checkpoint(const std::string& path, const StateDict& tensors, Module& model);

// How products of float32 round on a GPU: "tf32" or "float32".
std::string product_precision();

// The library's version, or "absent" where it cannot serve.
std::string version_of(const GpuLibrary& library);

// Version of the program, from the build.
std::string version();

}  // namespace warptape::tools
