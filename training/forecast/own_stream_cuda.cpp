#include "core/device/gpu.h"
#include "training/forecast/own_stream.h"

namespace warptape::forecasting {

void on_own_stream_cuda(const std::function<void()>& work) {
  gpu::synchronize();
  const gpu::Stream stream;
  {
    const gpu::StreamScope scope(stream);
    work();
  }
  gpu::synchronize(stream.handle());
}

}  // namespace warptape::forecasting
