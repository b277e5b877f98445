#include <memory>

#include "core/device/gpu.h"
#include "tools/recorded_step.h"

namespace warptape::tools {

std::function<void()> recorded_step_cuda(const std::function<void()>& work) {
  gpu::synchronize();  // what the work reads has been queued on another stream
  struct Recorded {
    explicit Recorded(const std::function<void()>& recorded) : graph(stream, recorded) {}
    gpu::Stream stream;
    gpu::Graph graph;
  };
  const auto recorded = std::make_shared<Recorded>(work);
  return [recorded] {
    recorded->graph.launch(recorded->stream.handle());
    gpu::synchronize(recorded->stream.handle());
  };
}

}  // namespace warptape::tools
