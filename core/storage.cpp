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
  if (exact_allocations) {
    return std::max<size_t>(bytes, 1);
  }
  const size_t step = std::max<size_t>(64, std::bit_floor(bytes) / 8);
  return std::max<size_t>(1, (bytes + step - 1) / step) * step;
}

class CachingAllocator {
 public:
  void* allocate(size_t bytes, Device device) {
    const size_t block = size_class(bytes);
    std::lock_guard lock(mutex_);
    void* pointer = take_cached(block);
    if (pointer == nullptr) {
      pointer = backend(device).allocate(block);
    }
    if (pointer == nullptr) {
      release_locked(device);
      pointer = backend(device).allocate(block);
    }
    check<OutOfMemory>(pointer != nullptr,
                       "[allocate] out of memory on {}: requested {} bytes, live {}, peak {}, "
                       "cached {}",
                       to_string(device), bytes, stats_.live_bytes, stats_.peak_bytes,
                       stats_.cached_bytes);
    stats_.live_bytes += block;
    stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.live_bytes);
    return pointer;
  }

  void deallocate(void* pointer, size_t bytes, Device device) noexcept {
    const size_t block = size_class(bytes);
    std::lock_guard lock(mutex_);
    stats_.live_bytes -= block;
    if (exact_allocations) {
      backend(device).deallocate(pointer, block);
      return;
    }
    try {
      cache_[block].push_back(pointer);
      stats_.cached_bytes += block;
    } catch (...) {  // no memory for the list itself: give the block back
      backend(device).deallocate(pointer, block);
    }
  }

  void release(Device device) {
    std::lock_guard lock(mutex_);
    release_locked(device);
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

  void release_locked(Device device) {
    for (auto& [block, pointers] : cache_) {
      for (void* pointer : pointers) {
        backend(device).deallocate(pointer, block);
      }
    }
    cache_.clear();
    stats_.cached_bytes = 0;
  }

  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> cache_;
  MemoryStats stats_;
};

CachingAllocator& allocator(Device device) {
  backend(device);  // a device that is not there is an error before anything else
  // One per device type; never destroyed, as storages in static objects outlive main.
  static auto* allocators = new CachingAllocator[2];
  return allocators[static_cast<size_t>(device.type)];
}

}  // namespace

MemoryStats memory_stats(Device device) {
  return allocator(device).stats();
}
void reset_peak_memory(Device device) {
  allocator(device).reset_peak();
}
void release_cached_memory(Device device) {
  allocator(device).release(device);
}
void set_poison_allocations(bool on) {
  poison_allocations = on;
}

std::shared_ptr<Storage> Storage::allocate(size_t bytes, Device device) {
  void* pointer = allocator(device).allocate(bytes, device);
  std::shared_ptr<Storage> storage(new Storage(pointer, bytes, device));
  if (poison_allocations) {
    backend(device).fill_bytes(pointer, 0xFF, bytes);
  }
  return storage;
}

Storage::~Storage() {
  allocator(device_).deallocate(data_, bytes_, device_);
}

}  // namespace warptape
