#pragma once
// The seam to the device "cuda": memory, copies, streams, events, graphs, pinned memory. One
// interface, two halves chosen by WARPTAPE_GPU: core/device/cuda/ stands on the CUDA runtime,
// emulator/device/ on the SIMT engine. Neither is linked where WARPTAPE_GPU is off.
//
// Work is queued on streams and runs in stream order; between streams only events order it. There
// is no default stream. Faults of queued work surface at the next synchronisation as DeviceError
// and stick: every later call raises the same error. All functions throw DeviceError unless they
// say otherwise. Sizes are in bytes.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

// CUDA's own names for its handles, so that a StreamHandle is a cudaStream_t.
struct CUstream_st;
struct CUevent_st;
struct CUgraphExec_st;

namespace warptape::gpu {

using StreamHandle = CUstream_st*;
using EventHandle = CUevent_st*;

// True where "cuda" is the SIMT engine on the host.
bool is_emulated();

// How many devices there are; 0 and a sentence in `reason` where the driver or a GPU is missing.
int device_count(std::string* reason = nullptr);

struct Properties {
  std::string name;
  int compute_capability = 0;  // 90 for sm_90
  int multiprocessors = 0;
  size_t memory_bytes = 0;
  size_t l2_bytes = 0;   // cache of level 2
  std::string versions;  // "runtime 13.0, driver 13.0", or what the emulated device says
};
Properties properties();

// A queue of work, destroyed with this object (work still queued is finished first).
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  StreamHandle handle() const { return handle_; }

 private:
  StreamHandle handle_;
};

// The stream that ops of this thread queue on: the innermost StreamScope's, else one that the
// process makes at first use and that all threads share.
StreamHandle current_stream();

class StreamScope {
 public:
  explicit StreamScope(const Stream& stream);
  ~StreamScope();
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;

 private:
  StreamHandle previous_;
};

// A point in a stream. Waiting for an event that was never recorded waits for nothing, as in CUDA.
class Event {
 public:
  enum class Timing { Off, On };  // recording a timed one costs more
  explicit Event(Timing timing = Timing::Off);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(StreamHandle stream);
  void make_wait(StreamHandle stream) const;  // later work of `stream` runs after this event
  void synchronize() const;                   // the host waits
  // From `start` to this event, on the device's clock (the emulated one reads the host's). Waits
  // for both. Both are timed and were recorded, outside of captures.
  double milliseconds_since(const Event& start) const;
  EventHandle handle() const { return handle_; }

 private:
  EventHandle handle_;
};

// Both run every check of the device, the error word among them (see report_word()).
void synchronize(StreamHandle stream);
void synchronize();  // all streams

// Stream-ordered memory, aligned to 256 bytes: usable by work queued on `stream` from here on, and
// by other streams behind an event. allocate returns nullptr when there is none left; a freed block
// may be handed out again to later requests on the same stream at once. Not during capture.
void* allocate(size_t bytes, StreamHandle stream);
void deallocate(void* pointer, StreamHandle stream) noexcept;

// For the cache above this memory (core/storage.h), which keeps a block instead of freeing it:
//   retire(pointer, stream): as deallocate(), but the block stays with the caller. False, and
//     nothing done, where it must be deallocated: the stream is gone, or this thread captures.
//   reuse(pointer, bytes, stream): as allocate(), in a block of at least so many bytes that is
//     retired or fresh. Not during capture.
//   trim(): waits for what was freed, and gives what the driver keeps back to the system. Does
//     nothing during capture.
// The CUDA half cannot see who uses a block that is retired; the emulated device raises it.
bool retire(void* pointer, StreamHandle stream) noexcept;
void reuse(void* pointer, size_t bytes, StreamHandle stream);
void trim() noexcept;

// Host memory that asynchronous copies can use. Never nullptr: OutOfMemory.
void* allocate_pinned(size_t bytes);
void deallocate_pinned(void* pointer) noexcept;

// Queued copies and fills. Host sides must be pinned and stay unchanged until the copy has run.
void copy(void* to, const void* from, size_t bytes, StreamHandle stream);  // within the device
void copy_from_pinned(void* to, const void* from, size_t bytes, StreamHandle stream);
void copy_to_pinned(void* to, const void* from, size_t bytes, StreamHandle stream);
void fill_bytes(void* pointer, int value, size_t bytes, StreamHandle stream);

// Any host memory. copy_from_host returns as soon as `from` has been read (into a ring of pinned
// staging buffers); copy_to_host returns when `to` holds the bytes.
void copy_from_host(void* to, const void* from, size_t bytes, StreamHandle stream);
void copy_to_host(void* to, const void* from, size_t bytes, StreamHandle stream);

// Recorded work that can be queued again as a whole. Inside `work`, which runs once with `stream`
// as the current stream, kernels and copies on it and on streams joined to it by events are
// recorded instead of run. Allocating, freeing what the graph uses, synchronising, or leaving a
// stream unjoined is an error; other memory freed meanwhile goes back when the capture ends.
// Arguments are frozen as they are, so that what changes between replays must lie in device memory.
// Replays of one graph run one after the other.
class Graph {
 public:
  Graph(const Stream& stream, const std::function<void()>& work);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void launch(StreamHandle stream) const;

 private:
  CUgraphExec_st* exec_;
};
bool is_capturing();  // by the calling thread

// How many kernels of ours this process has launched; in a capture, recorded.
inline std::atomic<uint64_t> launches{0};

// A place where a kernel of any stream reports what it cannot raise: a bad index. The first
// report wins; the next synchronisation raises it as ValueError with the text registered for the
// code, and clears it. Code 0 is "nothing".
struct ErrorReport {
  int code;
  int filled;     // set by the first reporter
  int64_t index;  // where
  int64_t value;  // what was found
};
// Raises what kernels that have run by now reported, and waits for nothing: for whoever waits by
// events.
void raise_report();
// Reporters set `filled` by an atomic operation, and `code` last.
ErrorReport* report_word();  // for kernels; the host does not touch it
// Returns a code for a message with {index} and {value} in it: "[cross_entropy] label {index}:
// ...".
int register_report(const char* message);

}  // namespace warptape::gpu
