#pragma once
// Named ranges: how long what took, in which layer, what it had to move and to compute; the kernels
// that were launched in them, and the memory that was allocated. Off, each of these costs one
// atomic read.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/device/activity.h"
#include "core/device/device.h"

namespace warptape::profile {

enum class Phase : uint8_t { Forward, Backward };

// What has to move and to be computed, by shapes: every operand once.
struct Work {
  int64_t bytes_read = 0;
  int64_t bytes_written = 0;
  int64_t flops = 0;  // of products: two for each multiplication with its addition

  int64_t bytes() const { return bytes_read + bytes_written; }
  void add(const Work& other) {
    bytes_read += other.bytes_read;
    bytes_written += other.bytes_written;
    flops += other.flops;
  }
};

struct Event {
  std::string name;  // "conv2d", "conv2d backward"
  int64_t start_ns;  // since start()
  int64_t duration_ns;
  uint32_t thread;
  int depth;  // ranges around this one on the same thread
  Phase phase = Phase::Forward;
  const void* layer = nullptr;  // the Module in whose call it is, or was recorded; null: none
  uint64_t id = 0;              // of this range; from 1 on
  uint64_t parent = 0;          // the id of the range around it; 0: none
  bool has_work = false;        // some note() was made in it
  Work work = {};               // all of them
};

inline std::atomic<bool> is_recording{false};
inline bool is_on() {
  return is_recording.load(std::memory_order_relaxed);
}

// The module whose call runs on this thread, while profiling is on; else null.
inline thread_local constinit const void* current_layer = nullptr;
class LayerScope {
 public:
  explicit LayerScope(const void* layer) : is_set_(is_on()), before_(current_layer) {
    if (is_set_) {
      current_layer = layer;
    }
  }
  ~LayerScope() {
    if (is_set_) {
      current_layer = before_;
    }
  }
  LayerScope(const LayerScope&) = delete;
  LayerScope& operator=(const LayerScope&) = delete;

 private:
  bool is_set_;
  const void* before_;
};

// name must live as long as the Range.
class Range {
 public:
  explicit Range(const char* name, Phase phase = Phase::Forward)
      : name_(is_on() ? name : nullptr), phase_(phase) {
    if (name_ != nullptr) [[unlikely]] {
      begin();
    }
  }
  ~Range() {
    if (name_ != nullptr) [[unlikely]] {
      end();
    }
  }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;

 private:
  friend struct Recorder;
  void begin();
  void end() noexcept;

  const char* name_;  // null: profiling was off
  Phase phase_;
  bool has_work_ = false;
  bool has_pending_ = false;
  Range* outer_ = nullptr;  // on this thread
  const void* layer_ = nullptr;
  uint64_t id_ = 0;
  int64_t start_ns_ = 0;
  Work work_ = {};
  Work pending_ = {};  // noted since the last launch
};

// Tells what the innermost range does, and in it the next kernel: work() is called only while
// profiling is on, and returns a Work.
//   const profile::Range range("linear");
//   profile::note([&] { return moved({&x, &weight}, {&y}, 2 * rows * in * out); });
void add_note(const Work& work);
template <class MakeWork>
void note(const MakeWork& work) {
  if (is_on()) [[unlikely]] {
    add_note(work());
  }
}

// A kernel, as it was queued.
struct Launch {
  std::string name;
  uint64_t id;     // what the device calls it by (gpu::Activity::launch)
  uint64_t range;  // the innermost range then; 0: none
  uint32_t thread;
  int64_t queued_ns;  // since start()
  gpu::LaunchSize size;
  bool has_work;
  Work work;
};

// A block that was allocated or freed.
struct MemoryEvent {
  int64_t time_ns;  // since start()
  const void* block;
  int64_t bytes;  // negative: freed
  Device device;
  uint64_t range;  // the innermost range then; 0: none
  const void* layer;
};

struct Recording {
  std::vector<Event> events;  // ordered by their start
  std::vector<Launch> launches;
  std::vector<MemoryEvent> memory;
};

// Forgets earlier events. device: whose ranges and launches are told to it, or null; it lives until
// stop(). The device is idle and no range is open.
void start(gpu::ActivityRecorder* device = nullptr);
std::vector<Event> stop();   // the events since start(), ordered by their start
Recording stop_recording();  // all of it
int64_t now_ns();            // since start()

// For core/storage.cpp.
void note_memory(const void* block, int64_t bytes, Device device) noexcept;

struct Total {
  std::string name;
  int64_t calls = 0;
  int64_t total_ns = 0;
  int64_t self_ns = 0;  // without the ranges inside
};

// One row per name, longest self time first.
std::vector<Total> summarize(const std::vector<Event>& events);

}  // namespace warptape::profile
