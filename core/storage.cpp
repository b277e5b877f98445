#include "core/storage.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/allocation_hooks.h"
#include "core/check.h"
#include "core/deferred.h"
#include "core/device/on_device.h"
#include "core/device/unordered_memory.h"
#include "core/graph_memory.h"
#include "core/profile.h"

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

// WARPTAPE_MEMORY_CACHE=0 asks the device for each block, of its exact size, and gives it back at
// once: for tools that know memory by what a driver gave, such as compute-sanitizer.
bool cache_is_wanted() {
  const char* text = std::getenv("WARPTAPE_MEMORY_CACHE");
  const std::string value = text == nullptr || *text == '\0' ? "1" : text;
  check<ValueError>(value == "0" || value == "1",
                    "[device] WARPTAPE_MEMORY_CACHE: got \"{}\", wanted 0 or 1", escaped(value));
  return value == "1";
}

// Sizes are rounded up to eighths of a power of two, so that at most an eighth of a large block is
// wasted; up to 512 bytes to multiples of 64. Classes are numbered from 1 on, in order.
struct SizeClass {
  size_t bytes;
  size_t number;
};
SizeClass size_class(size_t bytes) {
  const size_t step = std::max<size_t>(64, std::bit_floor(bytes) / 8);
  const size_t steps = std::max<size_t>(1, (bytes + step - 1) / step);
  const size_t octave = static_cast<size_t>(std::countr_zero(step)) - 6;
  return {steps * step, 8 * octave + steps};
}
size_t bytes_of_class(size_t number) {
  const size_t octave = number <= 8 ? 0 : (number - 1) / 8 - 1;
  return (number - 8 * octave) << (6 + octave);
}

// From a device of which graphs can be made.
void* allocate_for_graph(size_t bytes) {
  if constexpr (has_gpu) {
    return gpu::allocate_unordered(bytes);
  } else {
    return nullptr;
  }
}
void deallocate_for_graph(void* pointer) noexcept {
  if constexpr (has_gpu) {
    gpu::deallocate_unordered(pointer);
  }
}

thread_local GraphMemory* memory_of_thread = nullptr;

}  // namespace

// Guarded by the allocator's mutex.
struct GraphMemory::Blocks {
  std::vector<std::vector<void*>> lists;  // free ones, by the number of the size class
  size_t reserved_bytes = 0;
  bool is_abandoned = false;  // its GraphMemory is gone
};

// Blocks wait in one list per stream and size class. What is queued on a stream runs in order, so
// the next owner on the same stream needs to wait for nobody.
class CachingAllocator {
 public:
  CachingAllocator(Device device, DeviceBackend& backend)
      : device_(device),
        backend_(backend),
        keeps_blocks_(cache_is_wanted() && (!exact_allocations || device.type != DeviceType::CPU)) {
  }

  void* allocate(size_t bytes, DeviceBackend::Stream stream) {
    if (GraphMemory::is_open(device_)) [[unlikely]] {
      return allocate_for(memory_of_thread->blocks_, bytes);
    }
    const SizeClass block = class_of(bytes);
    std::lock_guard lock(mutex_);
    void* pointer = take_cached(block, bytes, stream);
    if (pointer == nullptr && adopt_blocks(stream)) {
      pointer = take_cached(block, bytes, stream);
    }
    if (pointer == nullptr) {
      pointer = take_fresh(block, bytes, stream);
    }
    count_live(bytes);
    return pointer;
  }

  void deallocate(void* pointer, size_t bytes, DeviceBackend::Stream stream) noexcept {
    const SizeClass block = class_of(bytes);
    std::lock_guard lock(mutex_);
    stats_.live_bytes -= bytes;
    if (!of_graphs_.empty() && return_to_graphs(pointer, bytes)) {
      return;
    }
    if (keeps_blocks_ && backend_.retire(pointer, stream)) {
      try {
        list_of(stream, block.number).push_back(pointer);
        stats_.cached_bytes += block.bytes;
        return;
      } catch (...) {  // no memory for the list itself: give the block back
      }
    }
    give_back(pointer, block.bytes, stream);
  }

  void abandon(GraphMemory::Blocks& memory) noexcept {
    std::lock_guard lock(mutex_);
    memory.is_abandoned = true;
    for (size_t number = 1; number < memory.lists.size(); ++number) {
      for (void* pointer : memory.lists[number]) {
        give_back_of_graphs(pointer, memory, bytes_of_class(number));
      }
    }
    memory.lists.clear();
  }

  size_t reserved_bytes(const GraphMemory::Blocks& memory) {
    std::lock_guard lock(mutex_);
    return memory.reserved_bytes;
  }

  void release() {
    std::lock_guard lock(mutex_);
    release_locked();
    backend_.trim();
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
  using List = std::vector<void*>;
  struct StreamBlocks {
    DeviceBackend::Stream stream;
    std::vector<List> lists;  // by the number of the size class
  };

  void count_live(size_t bytes) {
    ++stats_.allocations;
    stats_.live_bytes += bytes;
    stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.live_bytes);
  }

  void* allocate_for(const std::shared_ptr<GraphMemory::Blocks>& memory, size_t bytes) {
    const SizeClass block = size_class(bytes);
    std::lock_guard lock(mutex_);
    if (memory->lists.size() <= block.number) {
      memory->lists.resize(block.number + 1);
    }
    std::vector<void*>& list = memory->lists[block.number];
    void* pointer = nullptr;
    if (!list.empty()) {
      pointer = list.back();
      list.pop_back();
    } else {
      pointer = allocate_for_graph(block.bytes);
      check<OutOfMemory>(pointer != nullptr,
                         "[allocate] out of memory on {} for a graph: requested {} bytes, live {}, "
                         "peak {}, cached {}",
                         to_string(device_), bytes, stats_.live_bytes, stats_.peak_bytes,
                         stats_.cached_bytes);
      of_graphs_.emplace(pointer, memory);
      memory->reserved_bytes += block.bytes;
      stats_.reserved_bytes += block.bytes;
      ++stats_.device_allocations;
    }
    count_live(bytes);
    return pointer;
  }

  // False where it is no block of a graph's.
  bool return_to_graphs(void* pointer, size_t bytes) noexcept {
    const auto found = of_graphs_.find(pointer);
    if (found == of_graphs_.end()) {
      return false;
    }
    const SizeClass block = size_class(bytes);
    GraphMemory::Blocks& memory = *found->second;
    if (memory.is_abandoned) {
      give_back_of_graphs(pointer, memory, block.bytes);
    } else {
      memory.lists[block.number].push_back(pointer);
    }
    return true;
  }

  void give_back_of_graphs(void* pointer, GraphMemory::Blocks& memory, size_t bytes) noexcept {
    stats_.reserved_bytes -= bytes;
    memory.reserved_bytes -= bytes;
    deallocate_for_graph(pointer);
    of_graphs_.erase(pointer);  // the last of an abandoned memory ends it
  }

  SizeClass class_of(size_t bytes) const {
    return keeps_blocks_ ? size_class(bytes) : SizeClass{std::max<size_t>(bytes, 1), 0};
  }

  List& list_of(DeviceBackend::Stream stream, size_t number) {
    auto found = std::find_if(blocks_.begin(), blocks_.end(),
                              [&](const StreamBlocks& each) { return each.stream == stream; });
    if (found == blocks_.end()) {
      found = blocks_.insert(found, {stream, {}});
    }
    if (found->lists.size() <= number) {
      found->lists.resize(number + 1);
    }
    return found->lists[number];
  }

  void* take_cached(const SizeClass& block, size_t bytes, DeviceBackend::Stream stream) {
    List& list = list_of(stream, block.number);
    if (list.empty()) {
      return nullptr;
    }
    void* pointer = list.back();
    backend_.reuse(pointer, bytes, stream);
    list.pop_back();
    stats_.cached_bytes -= block.bytes;
    return pointer;
  }

  // All that a stream had to do has run when it is gone: its blocks may go to any other. True if
  // there were some.
  bool adopt_blocks(DeviceBackend::Stream stream) {
    bool found = false;
    for (StreamBlocks& each : blocks_) {
      if (each.stream == stream || backend_.is_live(each.stream)) {
        continue;
      }
      for (size_t number = 0; number < each.lists.size(); ++number) {
        List& own = list_of(stream, number);
        List& left = each.lists[number];
        own.insert(own.end(), left.begin(), left.end());
        found = found || !left.empty();
        left.clear();
      }
      each.lists.clear();
    }
    std::erase_if(blocks_, [](const StreamBlocks& each) { return each.lists.empty(); });
    return found;
  }

  void* take_fresh(const SizeClass& block, size_t bytes, DeviceBackend::Stream stream) {
    void* pointer = backend_.allocate(block.bytes, stream);
    if (pointer == nullptr && stats_.cached_bytes > 0) {
      release_locked();
      backend_.trim();
      pointer = backend_.allocate(block.bytes, stream);
    }
    check<OutOfMemory>(pointer != nullptr,
                       "[allocate] out of memory on {}: requested {} bytes, live {}, peak {}, "
                       "cached {}",
                       to_string(device_), bytes, stats_.live_bytes, stats_.peak_bytes,
                       stats_.cached_bytes);
    if (keeps_blocks_) {
      backend_.reuse(pointer, bytes, stream);
    }
    stats_.reserved_bytes += block.bytes;
    ++stats_.device_allocations;
    return pointer;
  }

  void give_back(void* pointer, size_t block_bytes, DeviceBackend::Stream stream) noexcept {
    stats_.reserved_bytes -= block_bytes;
    backend_.deallocate(pointer, block_bytes, stream);
  }

  void release_locked() noexcept {
    for (const StreamBlocks& each : blocks_) {
      for (size_t number = 1; number < each.lists.size(); ++number) {
        for (void* pointer : each.lists[number]) {
          give_back(pointer, bytes_of_class(number), each.stream);
        }
      }
    }
    blocks_.clear();
    stats_.cached_bytes = 0;
  }

  const Device device_;
  DeviceBackend& backend_;
  const bool keeps_blocks_;
  std::mutex mutex_;
  std::vector<StreamBlocks> blocks_;  // there are few streams
  std::unordered_map<void*, std::shared_ptr<GraphMemory::Blocks>> of_graphs_;
  MemoryStats stats_;
};

namespace {

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

GraphMemory::GraphMemory(Device device) : device_(device), blocks_(std::make_shared<Blocks>()) {
  check<DeviceError>(has_gpu && device.type == DeviceType::CUDA,
                     "[GraphMemory] device: got {}, wanted cuda", to_string(device));
}

GraphMemory::~GraphMemory() {
  allocator(device_).abandon(*blocks_);
}

size_t GraphMemory::reserved_bytes() const {
  return allocator(device_).reserved_bytes(*blocks_);
}

GraphMemory::Scope::Scope(GraphMemory& memory) : outer_(std::exchange(memory_of_thread, &memory)) {}

GraphMemory::Scope::~Scope() {
  memory_of_thread = outer_;
}

bool GraphMemory::is_open(Device device) {
  return memory_of_thread != nullptr && memory_of_thread->device_ == device;
}

MemoryStats memory_stats(Device device) {
  return allocator(device).stats();
}
size_t memory_allocated(Device device) {
  return memory_stats(device).live_bytes;
}
size_t max_memory_allocated(Device device) {
  return memory_stats(device).peak_bytes;
}
size_t memory_reserved(Device device) {
  return memory_stats(device).reserved_bytes;
}
void reset_peak_memory_stats(Device device) {
  allocator(device).reset_peak();
}
void empty_cache(Device device) {
  allocator(device).release();
}

struct Storage::Deferral {
  std::mutex mutex;
  std::shared_ptr<Deferred> work;  // null when it has run
  std::shared_ptr<Storage> made;   // whose block this is
  std::weak_ptr<Storage> self;
};

namespace {

thread_local std::weak_ptr<Storage> waiting;

}  // namespace

std::shared_ptr<Storage> Storage::allocate(size_t bytes, Device device) {
  compute_waiting();
  const DeviceBackend::Stream stream = backend(device).current_stream();
  void* pointer = allocator(device).allocate(bytes, stream);
  auto storage = std::make_shared<Storage>(Key{}, pointer, bytes, device, stream);
  if (profile::is_on()) [[unlikely]] {
    profile::note_memory(pointer, static_cast<int64_t>(bytes), device);
  }
  if (const auto hook = allocation_hooks::after_allocation.load(std::memory_order_relaxed)) {
    hook(pointer, bytes, device);
  }
  return storage;
}

std::shared_ptr<Storage> Storage::wait_for(std::shared_ptr<Deferred> work, size_t bytes,
                                           Device device) {
  compute_waiting();
  const DeviceBackend::Stream stream = backend(device).current_stream();
  auto storage = std::make_shared<Storage>(Key{}, nullptr, bytes, device, stream);
  storage->deferral_ = std::make_shared<Deferral>();
  storage->deferral_->work = std::move(work);
  storage->deferral_->self = storage;
  waiting = storage;
  return storage;
}

void Storage::compute_waiting() {
  if (const auto storage = take_waiting().lock()) {
    storage->data();
  }
}

std::weak_ptr<Storage> Storage::take_waiting() {
  return std::exchange(waiting, {});
}

void Storage::set_waiting(std::weak_ptr<Storage> storage) {
  waiting = std::move(storage);
}

std::shared_ptr<Deferred> Storage::work() const {
  if (!deferral_) {
    return nullptr;
  }
  const std::lock_guard lock(deferral_->mutex);
  return deferral_->work;
}

void Storage::compute() const {
  const std::lock_guard lock(deferral_->mutex);
  if (!deferral_->work) {
    return;
  }
  const std::shared_ptr<Storage> self = deferral_->self.lock();
  if (waiting.lock() == self) {
    waiting.reset();  // what the work allocates does not wait for it
  }
  deferral_->made = deferral_->work->run(self);
  data_ = deferral_->made->data();
  DeviceBackend& device = backend(device_);
  if (device.current_stream() != stream_) {
    // What the work has read goes back on the stream where it was made, which knows nothing of
    // kernels on this one.
    device.synchronize();
  }
  deferral_->work = nullptr;
}

Storage::~Storage() {
  if (!deferral_) {
    if (profile::is_on()) [[unlikely]] {
      profile::note_memory(data_, -static_cast<int64_t>(bytes_), device_);
    }
    allocator(device_).deallocate(data_, bytes_, stream_);
  }
}

}  // namespace warptape
