#include "kernels/common/gpu_libraries.h"

#include <atomic>

namespace warptape {
namespace {

std::atomic<bool> libraries_on{true};
std::atomic<bool> tf32_on{false};

}  // namespace

bool gpu_libraries_are_on() {
  return libraries_on;
}
void set_gpu_libraries(bool on) {
  libraries_on = on;
}

bool tf32_is_on() {
  return tf32_on;
}
void set_tf32(bool on) {
  tf32_on = on;
}

}  // namespace warptape
