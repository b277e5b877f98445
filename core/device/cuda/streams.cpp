// Streams, events and synchronisation on the CUDA runtime.

#include <map>
#include <mutex>

#include "core/check.h"
#include "core/device/arrivals.h"
#include "core/device/cuda/check_cuda.h"
#include "core/device/cuda/handles.h"
#include "core/device/gpu/parts.h"

namespace warptape::gpu {
namespace {

struct LiveStreams {
  std::mutex mutex;
  std::map<StreamHandle, unsigned long long*> counters;  // arrival_counters() of each
};

LiveStreams& live_streams() {
  static auto* instance = new LiveStreams;
  return *instance;
}

unsigned long long* make_counters(StreamHandle stream) {
  constexpr size_t bytes = most_arrival_counters * sizeof(unsigned long long);
  const OutsideCapture outside;
  void* counters = nullptr;
  check_cuda(cudaMallocAsync(&counters, bytes, stream), "Stream");
  check_cuda(cudaMemsetAsync(counters, 0, bytes, stream), "Stream");
  return static_cast<unsigned long long*>(counters);
}

}  // namespace

void check_stream(StreamHandle stream, const char* who) {
  check<DeviceError>(stream != nullptr,
                     "[{}] stream: got nullptr, wanted a stream: there is no default stream", who);
}

Stream::Stream() {
  check_cuda(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "Stream");
  try {
    unsigned long long* const counters = make_counters(handle_);
    std::lock_guard lock(live_streams().mutex);
    live_streams().counters.emplace(handle_, counters);
  } catch (...) {
    cudaStreamDestroy(handle_);
    throw;
  }
}

// Faults of the work that is waited for here surface at the next call.
Stream::~Stream() {
  cudaStreamSynchronize(handle_);
  {
    const OutsideCapture outside;
    std::lock_guard lock(live_streams().mutex);
    cudaFreeAsync(live_streams().counters.at(handle_), handle_);
    live_streams().counters.erase(handle_);
  }
  cudaStreamDestroy(handle_);
}

Event::Event(Timing timing) {
  const unsigned flags = timing == Timing::On ? cudaEventDefault : cudaEventDisableTiming;
  check_cuda(cudaEventCreateWithFlags(&handle_, flags), "Event");
}

Event::~Event() {
  cudaEventDestroy(handle_);
}

void Event::record(StreamHandle stream) {
  check_stream(stream, "Event::record");
  check_cuda(cudaEventRecord(handle_, stream), "Event::record");
}

void Event::make_wait(StreamHandle stream) const {
  check_stream(stream, "Event::make_wait");
  check_cuda(cudaStreamWaitEvent(stream, handle_, cudaEventWaitDefault), "Event::make_wait");
}

void Event::synchronize() const {
  refuse_capture("Event::synchronize");
  check_cuda(cudaEventSynchronize(handle_), "Event::synchronize");
}

double Event::milliseconds_since(const Event& start) const {
  start.synchronize();
  synchronize();
  float milliseconds = 0;
  check_cuda(cudaEventElapsedTime(&milliseconds, start.handle_, handle_),
             "Event::milliseconds_since");
  return static_cast<double>(milliseconds);
}

namespace parts {

void wait_for(StreamHandle stream) {
  check_stream(stream, "synchronize");
  refuse_capture("synchronize");
  check_cuda(cudaStreamSynchronize(stream), "synchronize");
}

void wait_for_all() {
  refuse_capture("synchronize");
  check_cuda(cudaDeviceSynchronize(), "synchronize");
}

unsigned long long* arrival_counters(StreamHandle stream) {
  check_stream(stream, "arrival_counters");
  if (unsigned long long* const counters = captured_arrival_counters(stream)) {
    return counters;
  }
  std::lock_guard lock(live_streams().mutex);
  const auto found = live_streams().counters.find(stream);
  check<DeviceError>(found != live_streams().counters.end(),
                     "[arrival_counters] stream: got one that has been destroyed");
  return found->second;
}

bool is_live(StreamHandle stream) {
  std::lock_guard lock(live_streams().mutex);
  return live_streams().counters.count(stream) != 0;
}

}  // namespace parts
}  // namespace warptape::gpu
