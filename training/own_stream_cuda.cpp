#include "core/device/gpu.h"
#include "training/own_stream.h"

namespace warptape {

void on_own_stream_cuda(const std::function<void()>& work) {
  gpu::synchronize();
  const gpu::Stream stream;
  {
    const gpu::StreamScope scope(stream);
    work();
  }
  gpu::synchronize(stream.handle());
}

}  // namespace warptape
