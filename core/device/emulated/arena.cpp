#include "core/device/emulated/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"
#include "core/simt/sanitizers.h"

namespace warptape::gpu::emulated {
namespace {

constexpr size_t huge_page = size_t{2} << 20;
constexpr size_t largest_capacity = size_t{64} << 30;
constexpr size_t granularity = 512;
constexpr size_t guard = 256;
constexpr int guard_value = 0xA5;

constexpr size_t round_up(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

size_t block_size(size_t bytes) {
  return round_up(guard + bytes + guard, granularity);
}

// Under AddressSanitizer everything but live allocations is poisoned, so that a kernel stops at the
// very access; else guards are filled with a pattern that is checked after each kernel.
#ifdef WARPTAPE_ASAN
void forbid(char* begin, size_t bytes) {
  __asan_poison_memory_region(begin, bytes);
}
void permit(char* begin, size_t bytes) {
  __asan_unpoison_memory_region(begin, bytes);
}
void mark_guard(char*, size_t) {}
const char* first_changed(const char*, const char*) {
  return nullptr;
}
#else
void forbid(char*, size_t) {}
void permit(char*, size_t) {}
void mark_guard(char* begin, size_t bytes) {
  std::memset(begin, guard_value, bytes);
}
const char* first_changed(const char* begin, const char* end) {
  // No guard is longer: memcmp checks thousands of them in the time of a small kernel.
  static const std::string untouched(guard + granularity, static_cast<char>(guard_value));
  if (std::memcmp(begin, untouched.data(), static_cast<size_t>(end - begin)) == 0) {
    return nullptr;
  }
  return std::mismatch(begin, end, untouched.data()).first;
}
#endif

}  // namespace

char* Block::data() const {
  return begin + guard;
}

Arena::Arena() {
  // Half of the machine's memory: the rest is for what runs on the host.
  const size_t physical =
      static_cast<size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  capacity_ = std::min(largest_capacity, round_up(physical / 2, huge_page));
  void* reserved = ::mmap(nullptr, capacity_ + huge_page, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check<DeviceError>(reserved != MAP_FAILED,
                     "[emulated device] {} bytes of address space cannot be reserved: {}",
                     capacity_, std::strerror(errno));
  base_ = reinterpret_cast<char*>(round_up(reinterpret_cast<size_t>(reserved), huge_page));
  ::madvise(base_, capacity_, MADV_HUGEPAGE);  // 100 times faster to open and close
}

bool Arena::contains(const void* pointer) const {
  const auto* address = static_cast<const char*>(pointer);
  return base_ <= address && address < base_ + capacity_;
}

void Arena::protect(int protection) const {
  const size_t bytes = round_up(used_, huge_page);
  check<DeviceError>(bytes == 0 || ::mprotect(base_, bytes, protection) == 0,
                     "[emulated device] mprotect of {} bytes: {}", bytes, std::strerror(errno));
}

Block* Arena::own(Block& block, size_t bytes) {
  block.bytes = bytes;
  block.id = ++last_id_;
  block.ordered = true;
  return &block;
}

Block* Arena::add_block(char* begin, size_t size) {
  Block& block = blocks_[begin];
  block.begin = begin;
  block.size = size;
  return &block;
}

Block* Arena::take(size_t bytes, const Clock& clock) {
  if (bytes > capacity_) {
    return nullptr;
  }
  const size_t size = block_size(bytes);
  for (auto [it, end] = free_.equal_range(size); it != end;) {
    --end;
    Block& block = *end->second;
    if (block.write.happened_before(clock)) {
      free_.erase(end);
      return own(block, bytes);
    }
  }
  if (used_ + size > capacity_) {
    return nullptr;
  }
  char* begin = base_ + used_;
  used_ += size;
  forbid(begin, size);
  return own(*add_block(begin, size), bytes);
}

void Arena::give_back(Block& block) {
  block.id = 0;
  free_.emplace(block.size, &block);
}

Block* Arena::take_from_merged(size_t bytes) {
  if (bytes > capacity_) {
    return nullptr;
  }
  free_.clear();
  for (auto it = blocks_.begin(); it != blocks_.end();) {
    Block& block = it->second;
    auto next = std::next(it);
    if (block.id == 0) {
      while (next != blocks_.end() && next->second.id == 0) {
        block.size += next->second.size;
        next = blocks_.erase(next);
      }
      free_.emplace(block.size, &block);
    }
    it = next;
  }
  const size_t size = block_size(bytes);
  const auto found = free_.lower_bound(size);
  if (found == free_.end()) {
    return nullptr;
  }
  Block& block = *found->second;
  free_.erase(found);
  if (block.size > size) {
    Block& rest = *add_block(block.begin + size, block.size - size);
    free_.emplace(rest.size, &rest);
    block.size = size;
  }
  return own(block, bytes);
}

const Block* Arena::find(const void* pointer) const {
  const auto* address = static_cast<const char*>(pointer);
  auto found = blocks_.upper_bound(address);
  if (found == blocks_.begin()) {
    return nullptr;
  }
  const Block& block = std::prev(found)->second;
  return address < block.begin + block.size ? &block : nullptr;
}

Block* Arena::find(const void* pointer) {
  return const_cast<Block*>(static_cast<const Arena*>(this)->find(pointer));
}

void Arena::make(const Place& place) {
  char* data = place.begin + guard;
  mark_guard(place.begin, guard);
  permit(data, place.bytes);
  std::memset(data, 0xFF, place.bytes);
  mark_guard(data + place.bytes, place.size - guard - place.bytes);
  made_[place.begin] = place;
}

void Arena::unmake(const Place& place) {
  if (made_.erase(place.begin) == 0) {  // allocated during a DryRun
    return;
  }
  std::memset(place.begin + guard, 0xFF, place.bytes);
  forbid(place.begin, place.size);
}

void Arena::check_guards(const std::string& kernel) const {
  for (const auto& [begin, place] : made_) {
    const char* data = begin + guard;
    const char* before = first_changed(begin, data);
    check<DeviceError>(before == nullptr,
                       "[{}] wrote before the beginning of an allocation of {} bytes: byte {}",
                       kernel, place.bytes, before - data);
    const char* after = first_changed(data + place.bytes, begin + place.size);
    check<DeviceError>(after == nullptr,
                       "[{}] wrote past the end of an allocation of {} bytes: byte {}", kernel,
                       place.bytes, after - data);
  }
}

OpenArena::OpenArena(Arena& arena) : arena_(arena) {
  arena_.protect(PROT_READ | PROT_WRITE);
}

OpenArena::~OpenArena() {
  arena_.protect(PROT_NONE);
}

}  // namespace warptape::gpu::emulated
