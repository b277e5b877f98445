// Graphs on the CUDA runtime. Only the emulated device can tell that a graph uses memory which has
// been freed.

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/device/arrivals.h"
#include "core/device/cuda/check_cuda.h"
#include "core/device/cuda/handles.h"

namespace warptape::gpu {
namespace {

thread_local bool capturing = false;
thread_local std::vector<std::pair<void*, StreamHandle>> deallocations;

// The arrival counters of the graph that this thread captures, and the streams that have some.
thread_local unsigned long long* counters_of_capture = nullptr;
thread_local std::vector<StreamHandle> counting_streams;

struct FreeCounters {
  // Waits for replays that are under way.
  void operator()(unsigned long long* counters) const noexcept {
    const OutsideCapture outside;
    cudaFree(counters);
  }
};
using Counters = std::unique_ptr<unsigned long long, FreeCounters>;

struct LiveGraphs {
  std::mutex mutex;
  std::map<CUgraphExec_st*, Counters> counters;
};

LiveGraphs& live_graphs() {
  static auto* instance = new LiveGraphs;
  return *instance;
}

// Made before the capture begins, which is no time to allocate. Waits for the zeros, as replays are
// queued on any stream.
Counters make_counters(StreamHandle stream) {
  constexpr size_t bytes =
      most_counting_streams * most_arrival_counters * sizeof(unsigned long long);
  void* memory = nullptr;
  check_cuda(cudaMalloc(&memory, bytes), "Graph");
  Counters counters(static_cast<unsigned long long*>(memory));
  check_cuda(cudaMemsetAsync(memory, 0, bytes, stream), "Graph");
  check_cuda(cudaStreamSynchronize(stream), "Graph");
  return counters;
}

// nullptr where the capture was invalidated or left a stream unjoined; then `status` says so.
cudaGraph_t end_capture(StreamHandle stream, cudaError_t* status) {
  cudaGraph_t graph = nullptr;
  *status = cudaStreamEndCapture(stream, &graph);
  capturing = false;
  counters_of_capture = nullptr;
  counting_streams.clear();
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

OutsideCapture::OutsideCapture() {
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  cudaThreadExchangeStreamCaptureMode(&mode);
  before_ = mode;
}

OutsideCapture::~OutsideCapture() {
  auto mode = static_cast<cudaStreamCaptureMode>(before_);
  cudaThreadExchangeStreamCaptureMode(&mode);
}

unsigned long long* captured_arrival_counters(StreamHandle stream) {
  if (!capturing) {
    return nullptr;
  }
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check_cuda(cudaStreamIsCapturing(stream, &status), "arrival_counters");
  if (status == cudaStreamCaptureStatusNone) {
    return nullptr;
  }
  const auto found = std::find(counting_streams.begin(), counting_streams.end(), stream);
  const int64_t index = found - counting_streams.begin();
  if (found == counting_streams.end()) {
    check<DeviceError>(index < most_counting_streams,
                       "[arrival_counters] got more than {} streams of a capture",
                       most_counting_streams);
    counting_streams.push_back(stream);
  }
  return counters_of_capture + index * most_arrival_counters;
}

void deallocate_after_capture(void* pointer, StreamHandle stream) {
  deallocations.emplace_back(pointer, stream);
}

Graph::Graph(const Stream& stream, const std::function<void()>& work) {
  refuse_capture("Graph");
  Counters counters = make_counters(stream.handle());
  check_cuda(cudaStreamBeginCapture(stream.handle(), cudaStreamCaptureModeThreadLocal), "Graph");
  capturing = true;
  counters_of_capture = counters.get();
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
  std::lock_guard lock(live_graphs().mutex);
  live_graphs().counters.emplace(exec_, std::move(counters));
}

Graph::~Graph() {
  Counters counters;
  {
    std::lock_guard lock(live_graphs().mutex);
    counters = std::move(live_graphs().counters.at(exec_));
    live_graphs().counters.erase(exec_);
  }
  cudaGraphExecDestroy(exec_);
}

void Graph::launch(StreamHandle stream) const {
  check_stream(stream, "Graph::launch");
  refuse_capture("Graph::launch");
  check_cuda(cudaGraphLaunch(exec_, stream), "Graph::launch");
}

}  // namespace warptape::gpu
