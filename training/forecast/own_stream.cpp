#include "training/forecast/own_stream.h"

#include "core/device/on_device.h"

namespace warptape::forecasting {

void on_own_stream(Device device, const std::function<void()>& work) {
  on_device(
      "forecast", device, [&] { work(); }, [&] { on_own_stream_cuda(work); });
}

}  // namespace warptape::forecasting
