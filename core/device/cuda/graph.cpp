// Graphs on the CUDA runtime. Only the emulated device can tell that a graph uses memory which has
// been freed.

#include <utility>
#include <vector>

#include "core/check.h"
#include "core/device/cuda/check_cuda.h"
#include "core/device/cuda/handles.h"

namespace warptape::gpu {
namespace {

thread_local bool capturing = false;
thread_local std::vector<std::pair<void*, StreamHandle>> deallocations;

// nullptr where the capture was invalidated or left a stream unjoined; then `status` says so.
cudaGraph_t end_capture(StreamHandle stream, cudaError_t* status) {
  cudaGraph_t graph = nullptr;
  *status = cudaStreamEndCapture(stream, &graph);
  capturing = false;
  for (const auto& [pointer, owner] : std::exchange(deallocations, {})) {
    deallocate(pointer, owner);
  }
  return graph;
}

}  // namespace

bool is_capturing() {
  return capturing;
}

void refuse_capture(const char* who) {
  check<DeviceError>(!capturing, "[{}] is not possible during graph capture", who);
}

void deallocate_after_capture(void* pointer, StreamHandle stream) {
  deallocations.emplace_back(pointer, stream);
}

Graph::Graph(const Stream& stream, const std::function<void()>& work) {
  refuse_capture("Graph");
  check_cuda(cudaStreamBeginCapture(stream.handle(), cudaStreamCaptureModeThreadLocal), "Graph");
  capturing = true;
  cudaError_t status = cudaSuccess;
  try {
    const StreamScope scope(stream);
    work();
  } catch (...) {
    cudaGraphDestroy(end_capture(stream.handle(), &status));
    cudaGetLastError();
    throw;
  }
  cudaGraph_t graph = end_capture(stream.handle(), &status);
  check_cuda(status, "Graph");
  status = cudaGraphInstantiate(&exec_, graph, 0);
  cudaGraphDestroy(graph);
  check_cuda(status, "Graph");
}

Graph::~Graph() {
  cudaGraphExecDestroy(exec_);
}

void Graph::launch(StreamHandle stream) const {
  check_stream(stream, "Graph::launch");
  refuse_capture("Graph::launch");
  check_cuda(cudaGraphLaunch(exec_, stream), "Graph::launch");
}

}  // namespace warptape::gpu
