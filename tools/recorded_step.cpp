#include "tools/recorded_step.h"

#include "core/device/on_device.h"

namespace warptape::tools {

std::function<void()> recorded_step(Device device, const std::function<void()>& work) {
  std::function<void()> step = work;
  on_device(
      "bench stream", device, [] {}, [&] { step = recorded_step_cuda(work); });
  return step;
}

}  // namespace warptape::tools
