#pragma once
// Checks on streams and captures that the runtime does not make. Internal to the CUDA half.

#include "core/device/gpu.h"

namespace warptape::gpu {

// Throws DeviceError on nullptr: there is no default stream.
void check_stream(StreamHandle stream, const char* who);

// Throws DeviceError while the calling thread captures a graph.
void refuse_capture(const char* who);

// While it lives, the calling thread may do what takes part in no graph, such as allocating, though
// it captures one.
class OutsideCapture {
 public:
  OutsideCapture();
  ~OutsideCapture();
  OutsideCapture(const OutsideCapture&) = delete;
  OutsideCapture& operator=(const OutsideCapture&) = delete;

 private:
  int before_;  // the thread's cudaStreamCaptureMode
};

// arrival_counters() of a stream that the calling thread captures; nullptr for others.
unsigned long long* captured_arrival_counters(StreamHandle stream);

// Frees when the calling thread's capture has ended; only during one.
void deallocate_after_capture(void* pointer, StreamHandle stream);

}  // namespace warptape::gpu
