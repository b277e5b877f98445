#include "core/storage.h"

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <vector>

#include "core/error.h"

// Under a sanitizer blocks have their exact size and are never reused, so that overruns are seen.
#if defined(__SANITIZE_ADDRESS__)
#define WARPTAPE_EXACT_ALLOCATIONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WARPTAPE_EXACT_ALLOCATIONS 1
#endif
#endif

namespace warptape {
namespace {

#ifdef WARPTAPE_EXACT_ALLOCATIONS
constexpr bool exact_allocations = true;
#else
constexpr bool exact_allocations = false;
#endif

std::atomic<bool> poison_allocations{false};

// At most an eighth is wasted on large blocks: sizes are rounded up to eighths of a power of two.
size_t size_class(size_t bytes) {
  const size_t step = std::max<size_t>(64, std::bit_floor(bytes) / 8);
  return std::max<size_t>(1, (bytes + step - 1) / step) * step;
}

class CachingAllocator {
 public:
  CachingAllocator(Device device, DeviceBackend& backend)
      : device_(device),
        backend_(backend),
        keeps_blocks_(!exact_allocations && !backend.caches()) {}

  void* allocate(size_t bytes, DeviceBackend::Stream stream) {
    const size_t block = block_size(bytes);
    std::lock_guard lock(mutex_);
    void* pointer = take_cached(block);
    if (pointer == nullptr) {
      pointer = backend_.allocate(block, stream);
    }
    if (pointer == nullptr && stats_.cached_bytes > 0) {
      release_locked();
      pointer = backend_.allocate(block, stream);
    }
    check<OutOfMemory>(pointer != nullptr,
                       "[allocate] out of memory on {}: requested {} bytes, live {}, peak {}, "
                       "cached {}",
                       to_string(device_), bytes, stats_.live_bytes, stats_.peak_bytes,
                       stats_.cached_bytes);
    stats_.live_bytes += block;
    stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.live_bytes);
    return pointer;
  }

  void deallocate(void* pointer, size_t bytes, DeviceBackend::Stream stream) noexcept {
    const size_t block = block_size(bytes);
    std::lock_guard lock(mutex_);
    stats_.live_bytes -= block;
    if (!keeps_blocks_) {
      backend_.deallocate(pointer, block, stream);
      return;
    }
    try {
      cache_[block].push_back(pointer);
      stats_.cached_bytes += block;
    } catch (...) {  // no memory for the list itself: give the block back
      backend_.deallocate(pointer, block, stream);
    }
  }

  void release() {
    std::lock_guard lock(mutex_);
    release_locked();
  }

  MemoryStats stats() {
    std::lock_guard lock(mutex_);
    return stats_;
  }

  void reset_peak() {
    std::lock_guard lock(mutex_);
    stats_.peak_bytes = stats_.live_bytes;
  }

 private:
  size_t block_size(size_t bytes) const {
    return keeps_blocks_ ? size_class(bytes) : std::max<size_t>(bytes, 1);
  }

  void* take_cached(size_t block) {
    auto found = cache_.find(block);
    if (found == cache_.end() || found->second.empty()) {
      return nullptr;
    }
    void* pointer = found->second.back();
    found->second.pop_back();
    stats_.cached_bytes -= block;
    return pointer;
  }

  // Only where blocks are kept, which is where there is one stream.
  void release_locked() {
    for (auto& [block, pointers] : cache_) {
      for (void* pointer : pointers) {
        backend_.deallocate(pointer, block, nullptr);
      }
    }
    cache_.clear();
    stats_.cached_bytes = 0;
  }

  const Device device_;
  DeviceBackend& backend_;
  const bool keeps_blocks_;
  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> cache_;
  MemoryStats stats_;
};

// Throws DeviceError where there is no such device. One per device, never destroyed, as storages in
// static objects outlive main.
CachingAllocator& allocator(Device device) {
  DeviceBackend& found = backend(device);
  if (device.type == DeviceType::CPU) {
    static auto* of_cpu = new CachingAllocator(device, found);
    return *of_cpu;
  }
  static auto* of_cuda = new CachingAllocator(device, found);
  return *of_cuda;
}

}  // namespace

MemoryStats memory_stats(Device device) {
  return allocator(device).stats();
}
void reset_peak_memory(Device device) {
  allocator(device).reset_peak();
}
void release_cached_memory(Device device) {
  allocator(device).release();
}
void set_poison_allocations(bool on) {
  poison_allocations = on;
}

std::shared_ptr<Storage> Storage::allocate(size_t bytes, Device device) {
  const DeviceBackend::Stream stream = backend(device).current_stream();
  void* pointer = allocator(device).allocate(bytes, stream);
  std::shared_ptr<Storage> storage(new Storage(pointer, bytes, device, stream));
  if (poison_allocations) {
    backend(device).fill_bytes(pointer, 0xFF, bytes);
  }
  return storage;
}

Storage::~Storage() {
  allocator(device_).deallocate(data_, bytes_, stream_);
}

}  // namespace warptape
