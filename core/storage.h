#pragma once
// RAII buffers from a caching allocator. A freed block is kept and handed out again to the next
// request of its size class on its stream: fresh pages from the system cost more than most passes
// over them, and a GPU's driver more than the launch of a kernel. WARPTAPE_MEMORY_CACHE=0 in the
// environment keeps none.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/device/device.h"

namespace warptape {

class Deferred;

struct MemoryStats {
  size_t live_bytes = 0;      // asked for by storages that exist now
  size_t peak_bytes = 0;      // the highest live_bytes since start or reset_peak_memory_stats()
  size_t cached_bytes = 0;    // freed by their owners, kept here for reuse
  size_t reserved_bytes = 0;  // got from the device and not given back: blocks in use, and cached
  uint64_t allocations = 0;   // since start
  uint64_t device_allocations = 0;  // of these, those that no cached block could serve
};

MemoryStats memory_stats(Device device);
// As torch.cuda's, for any device.
size_t memory_allocated(Device device);      // live_bytes
size_t max_memory_allocated(Device device);  // peak_bytes
size_t memory_reserved(Device device);       // reserved_bytes
void reset_peak_memory_stats(Device device);
// Gives cached blocks back to the device, and what the device's driver keeps to the system.
void empty_cache(Device device);

// One block of device memory, shared by a tensor and its views. The version counts writes. The
// block may be one that an op has still to make (core/deferred.h).
class Storage {
  struct Key {};  // makes one: allocate()

 public:
  // The block belongs to the stream that is current now. Other streams use it behind an event, and
  // it is that stream's again when its last owner is gone: who used it on another stream makes this
  // one wait before. Throws OutOfMemory with what was requested, live, cached and the peak.
  static std::shared_ptr<Storage> allocate(size_t bytes, Device device);
  // A block that `work` makes when it is first asked for, or before anything is allocated by this
  // thread: from now on it is what waits there.
  static std::shared_ptr<Storage> wait_for(std::shared_ptr<Deferred> work, size_t bytes,
                                           Device device);
  static void compute_waiting();  // what waits on this thread
  // The same, given up: nobody computes it unasked. And put back.
  static std::weak_ptr<Storage> take_waiting();
  static void set_waiting(std::weak_ptr<Storage> storage);
  Storage(Key, void* data, size_t bytes, Device device, DeviceBackend::Stream stream)
      : data_(data), bytes_(bytes), device_(device), stream_(stream) {}
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const {
    if (deferral_) [[unlikely]] {
      compute();
    }
    return data_;
  }
  std::shared_ptr<Deferred> work() const;  // null once it has run
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  uint64_t version() const { return version_.load(std::memory_order_relaxed); }
  void bump_version() { version_.fetch_add(1, std::memory_order_relaxed); }

 private:
  struct Deferral;
  void compute() const;

  mutable void* data_;
  size_t bytes_;
  Device device_;
  DeviceBackend::Stream stream_;
  std::atomic<uint64_t> version_{0};
  std::shared_ptr<Deferral> deferral_;  // of one that an op has to make, or has made
};

}  // namespace warptape
