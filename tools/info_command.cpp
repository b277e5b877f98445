// warptape info

#include <CLI/Version.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include <fmt/format.h>

#include "core/device/gpu.h"
#include "core/device/on_device.h"
#include "core/parallel.h"
#include "kernels/common/gpu_libraries.h"
#include "kernels/common/onednn.h"
#include "tools/commands.h"

namespace warptape::tools {
namespace {

std::string onednn_line() {
  if (!onednn_is_built_in()) {
    return "not built in: reference loops serve (tools/setup.sh installs it)";
  }
  return onednn_version() + ", using " + onednn_instruction_set();
}

std::string instruction_sets() {
  std::string found = "x86-64";
  __builtin_cpu_init();
  found += __builtin_cpu_supports("avx2") ? " avx2" : "";
  found += __builtin_cpu_supports("fma") ? " fma" : "";
  found += __builtin_cpu_supports("avx512f") ? " avx512f" : "";
  return found;
}

std::string openmp_line() {
#ifdef _OPENMP
  return fmt::format("{}, {} threads", _OPENMP, num_threads());
#else
  return "not built in: one thread";
#endif
}

std::string cuda_line() {
  if constexpr (has_gpu) {
    std::string reason;
    if (gpu::device_count(&reason) == 0) {
      return "not available: " + reason;
    }
    const gpu::Properties found = gpu::properties();
    if (gpu::is_emulated()) {
      return "no GPU: \"cuda\" is " + found.name + ", for tests and the memory profile";
    }
    return fmt::format("{}, sm_{}, {} multiprocessors, {:.0f} GiB, {}", found.name,
                       found.compute_capability, found.multiprocessors,
                       static_cast<double>(found.memory_bytes) / (1 << 30), found.versions);
  } else {
    return "not built in: this build has no GPU backend (WARPTAPE_GPU=cuda)";
  }
}

std::string library_line(const GpuLibrary& library) {
  return library.reason.empty() ? library.version : "our kernels serve: " + library.reason;
}

void info() {
  fmt::print("warptape      {}\n", version());
  fmt::print("cpu           {} threads\n", std::thread::hardware_concurrency());
  fmt::print("cuda          {}\n", cuda_line());
  fmt::print("processor     {}\n", instruction_sets());
  fmt::print("oneDNN        {}\n", onednn_line());
  fmt::print("cuBLASLt      {}\n", library_line(cublas_library()));
  fmt::print("cuDNN         {}\n", library_line(cudnn_library()));
  fmt::print("OpenMP        {}\n", openmp_line());
  fmt::print("compiler      {}\n", __VERSION__);
  fmt::print("fmt           {}.{}.{}\n", FMT_VERSION / 10000, FMT_VERSION / 100 % 100,
             FMT_VERSION % 100);
  fmt::print("CLI11         {}\n", CLI11_VERSION);
  fmt::print("nlohmann-json {}.{}.{}\n", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
             NLOHMANN_JSON_VERSION_PATCH);
}

}  // namespace

void add_info_command(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("info", "Devices, libraries, versions, instruction sets in use");
  command->footer("Example:\n  warptape info");
  command->callback([] { info(); });
}

}  // namespace warptape::tools
