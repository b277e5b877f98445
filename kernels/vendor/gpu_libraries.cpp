#include "kernels/vendor/gpu_libraries.h"

#include <atomic>
#include <cstdlib>

#include <fmt/format.h>

#include "core/error.h"

namespace warptape {
namespace {

std::atomic<GpuLibraries>& mode() {
  static std::atomic<GpuLibraries> mode = [] {
    const char* const text = std::getenv("WARPTAPE_GPU_LIBRARIES");
    return text == nullptr || *text == '\0' ? GpuLibraries::Auto
                                            : parse_gpu_libraries("WARPTAPE_GPU_LIBRARIES", text);
  }();
  return mode;
}
std::atomic<bool> tf32_on{false};
std::atomic<int64_t> library_calls{0};

}  // namespace

GpuLibraries gpu_libraries() {
  return mode();
}
void set_gpu_libraries(GpuLibraries to) {
  mode() = to;
}

const char* name_of(GpuLibraries mode) {
  return mode == GpuLibraries::Auto ? "auto" : mode == GpuLibraries::On ? "on" : "off";
}

GpuLibraries parse_gpu_libraries(const std::string& what, const std::string& text) {
  for (const GpuLibraries mode : {GpuLibraries::Auto, GpuLibraries::On, GpuLibraries::Off}) {
    if (text == name_of(mode)) {
      return mode;
    }
  }
  throw ValueError(
      fmt::format("[gpu_libraries] {}: got \"{}\", wanted auto, on or off", what, escaped(text)));
}

int64_t gpu_library_calls() {
  return library_calls;
}
void count_gpu_library_call() {
  ++library_calls;
}

bool tf32_is_on() {
  return tf32_on;
}
void set_tf32(bool on) {
  tf32_on = on;
}

}  // namespace warptape
