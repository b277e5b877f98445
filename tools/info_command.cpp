// warptape info

#include <CLI/Version.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include <fmt/format.h>

#include "core/device/gpu.h"
#include "core/device/on_device.h"
#include "core/parallel.h"
#include "kernels/vendor/choice.h"
#include "kernels/vendor/gpu_libraries.h"
#include "kernels/vendor/onednn.h"
#include "tools/commands.h"

namespace warptape::tools {
namespace {

std::string onednn_line() {
  if (!onednn_is_built_in()) {
    return "not built in: reference loops serve (tools/setup.sh installs it)";
  }
  return onednn_version() + ", using " + onednn_instruction_set();
}

// What --precision bf16 is on the CPU.
std::string bfloat16_line() {
  return onednn_takes(bfloat16)
             ? "products by the processor's own instructions, on the CPU"
             : "products by float32 copies on the CPU, slower than float32 itself: " +
                   std::string(onednn_is_built_in() ? "this processor has no instructions for it"
                                                    : "oneDNN is not built in");
}

std::string instruction_sets() {
  std::string found = "x86-64";
  __builtin_cpu_init();
  found += __builtin_cpu_supports("avx2") ? " avx2" : "";
  found += __builtin_cpu_supports("fma") ? " fma" : "";
  found += __builtin_cpu_supports("avx512f") ? " avx512f" : "";
  found += __builtin_cpu_supports("avx512bf16") ? " avx512_bf16" : "";
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

// "gemm cuBLASLt 7 of 8, conv2d y ours 2 of 2": of the measured products that --gpu-libraries auto
// goes by on this GPU, how many are the library's.
std::string measured_line(Precision precision, int architecture) {
  std::string text;
  for (const ProductKind kind : {ProductKind::Gemm, ProductKind::Conv2d,
                                 ProductKind::Conv2dDataGrad, ProductKind::Conv2dWeightGrad}) {
    const MeasuredProduct* const first =
        nearest_measured({.kind = kind, .precision = precision}, architecture, measured_products());
    if (first == nullptr) {
      continue;
    }
    int faster = 0;
    int count = 0;
    for (const MeasuredProduct& row : measured_products()) {
      if (row.product.kind == kind && row.product.precision == precision &&
          row.architecture == first->architecture) {
        faster += library_is_faster(row) ? 1 : 0;
        ++count;
      }
    }
    text += fmt::format("{}{} {} {} of {} (sm_{})", text.empty() ? "" : ", ", name_of(kind),
                        library_of(kind), faster, count, first->architecture);
  }
  return text.empty() ? "ours: nothing was measured" : text;
}

// Which products the libraries serve where they are there.
void print_choices() {
  if constexpr (has_gpu) {
    if (gpu::device_count() == 0) {
      return;
    }
    fmt::print("libraries     {} (--gpu-libraries); auto, of the products that were measured:\n",
               name_of(gpu_libraries()));
    for (const Precision precision :
         {Precision::Float32, Precision::Tf32, Precision::Bfloat16, Precision::Float64}) {
      fmt::print("{:<13} {}\n", name_of(precision),
                 measured_line(precision, gpu::properties().compute_capability));
    }
  }
}

void info() {
  fmt::print("warptape      {}\n", version());
  fmt::print("cpu           {} threads\n", std::thread::hardware_concurrency());
  fmt::print("cuda          {}\n", cuda_line());
  fmt::print("processor     {}\n", instruction_sets());
  fmt::print("oneDNN        {}\n", onednn_line());
  fmt::print("bfloat16      {}\n", bfloat16_line());
  fmt::print("cuBLASLt      {}\n", library_line(cublas_library()));
  fmt::print("cuDNN         {}\n", library_line(cudnn_library()));
  print_choices();
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
