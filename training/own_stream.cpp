#include "training/own_stream.h"

#include "core/device/on_device.h"

namespace warptape {

void on_own_stream(Device device, const std::function<void()>& work) {
  on_device(
      "run_side_by_side", device, [&] { work(); }, [&] { on_own_stream_cuda(work); });
}

}  // namespace warptape
