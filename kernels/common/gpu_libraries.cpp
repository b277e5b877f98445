#include "kernels/common/gpu_libraries.h"

#include <atomic>
#include <cstdlib>
#include <string_view>

#include "core/error.h"

namespace warptape {
namespace {

bool on_in_environment() {
  const char* const text = std::getenv("WARPTAPE_GPU_LIBRARIES");
  const std::string_view value = text == nullptr || *text == '\0' ? "on" : text;
  check<ValueError>(value == "on" || value == "off",
                    "[gpu_libraries] WARPTAPE_GPU_LIBRARIES: got \"{}\", wanted on or off",
                    escaped(value));
  return value == "on";
}

std::atomic<bool>& libraries_on() {
  static std::atomic<bool> on{on_in_environment()};
  return on;
}
std::atomic<bool> tf32_on{false};

}  // namespace

bool gpu_libraries_are_on() {
  return libraries_on();
}
void set_gpu_libraries(bool on) {
  libraries_on() = on;
}

bool tf32_is_on() {
  return tf32_on;
}
void set_tf32(bool on) {
  tf32_on = on;
}

}  // namespace warptape
