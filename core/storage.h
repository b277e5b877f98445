#pragma once
// RAII buffers from a caching allocator. A freed block is kept and handed out again to the next
// request of its size class, because fresh pages from the system cost more than most passes over
// them. Where a device caches behind its seam, blocks are only counted here.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/device/device.h"

namespace warptape {

struct MemoryStats {
  size_t live_bytes = 0;    // in storages that exist now
  size_t peak_bytes = 0;    // the highest live_bytes since start or reset_peak_memory()
  size_t cached_bytes = 0;  // freed by their owners, kept here for reuse
};

MemoryStats memory_stats(Device device);
void reset_peak_memory(Device device);
void release_cached_memory(Device device);

// Fills every block that is handed out with 0xFF (NaN in both float types), so that a kernel that
// reads what it never wrote, or leaves out an element, shows. For tests.
void set_poison_allocations(bool on);

// One block of device memory, shared by a tensor and its views. The version counts writes.
class Storage {
 public:
  // The block belongs to the stream that is current now: other streams use it behind an event, and
  // it goes back to that stream. Throws OutOfMemory with what was requested, live, cached and the
  // peak.
  static std::shared_ptr<Storage> allocate(size_t bytes, Device device);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  uint64_t version() const { return version_.load(std::memory_order_relaxed); }
  void bump_version() { version_.fetch_add(1, std::memory_order_relaxed); }

 private:
  Storage(void* data, size_t bytes, Device device, DeviceBackend::Stream stream)
      : data_(data), bytes_(bytes), device_(device), stream_(stream) {}

  void* data_;
  size_t bytes_;
  Device device_;
  DeviceBackend::Stream stream_;
  std::atomic<uint64_t> version_{0};
};

}  // namespace warptape
