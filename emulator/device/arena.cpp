#include "emulator/device/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/check.h"
#include "emulator/engine/sanitizers.h"

namespace warptape::gpu::emulated {
namespace {

constexpr size_t largest_capacity = size_t{64} << 30;
constexpr size_t guard = 256;
constexpr int guard_value = 0xA5;

constexpr size_t round_up(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// What can be opened on its own.
size_t page_size() {
  static const auto size = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

size_t block_size(size_t bytes) {
  return round_up(guard + bytes + guard, page_size());
}

void protect(const Arena::Place& place, int protection) {
  check<DeviceError>(::mprotect(place.begin, place.size, protection) == 0,
                     "[emulated device] mprotect of {} bytes: {}", place.size,
                     std::strerror(errno));
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
// What a block was opened for before may have been longer.
void mark_guard(char* begin, size_t bytes) {
  forbid(begin, bytes);
}
const char* first_changed(const char*, const char*) {
  return nullptr;
}
#else
void forbid(char*, size_t) {}
void permit(char*, size_t) {}
void mark_guard(char* begin, size_t bytes) {
  std::memset(begin, guard_value, bytes);
}
// What lies behind an allocation in a block of its size class may be larger than the allocation.
const char* first_changed(const char* begin, const char* end) {
  constexpr auto untouched = static_cast<char>(guard_value);
  // Each byte is like the one before it.
  if (*begin == untouched &&
      std::memcmp(begin, begin + 1, static_cast<size_t>(end - begin) - 1) == 0) {
    return nullptr;
  }
  return std::find_if(begin, end, [](char byte) { return byte != untouched; });
}
#endif

}  // namespace

char* Block::data() const {
  return begin + guard;
}

Arena::Arena() {
  // Half of the machine's memory: the rest is for what runs on the host.
  const size_t pages = static_cast<size_t>(::sysconf(_SC_PHYS_PAGES));
  capacity_ = std::min(largest_capacity, pages / 2 * page_size());
  void* reserved =
      ::mmap(nullptr, capacity_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check<DeviceError>(reserved != MAP_FAILED,
                     "[emulated device] {} bytes of address space cannot be reserved: {}",
                     capacity_, std::strerror(errno));
  base_ = static_cast<char*>(reserved);
}

bool Arena::contains(const void* pointer) const {
  const auto* address = static_cast<const char*>(pointer);
  return base_ <= address && address < base_ + capacity_;
}

Block* Arena::own(Block& block, size_t bytes) {
  block.bytes = bytes;
  block.id = ++last_id_;
  block.ordered = true;
  block.retired = false;
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

void Arena::reuse(Block& block, size_t bytes) {
  const size_t room = block.size - 2 * guard;
  check<DeviceError>(bytes <= room, "[allocate] got {} bytes, wanted at most {} in this block",
                     bytes, room);
  own(block, bytes);
}

void Arena::give_back(Block& block) {
  block.id = 0;
  block.retired = false;
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
    if (block.is_free()) {
      while (next != blocks_.end() && next->second.is_free()) {
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
  if (place.dry) {
    return;
  }
  char* data = place.begin + guard;
  mark_guard(place.begin, guard);
  permit(data, place.bytes);
  std::memset(data, 0xFF, place.bytes);
  mark_guard(data + place.bytes, place.size - guard - place.bytes);
}

void Arena::unmake(const Place& place) {
  if (place.dry) {
    return;
  }
  std::memset(place.begin + guard, 0xFF, place.bytes);
  forbid(place.begin, place.size);
}

void Arena::check_guards(std::span<const Place> places, const std::string& kernel) {
  for (const Place& place : places) {
    const char* data = place.begin + guard;
    const char* before = first_changed(place.begin, data);
    check<DeviceError>(before == nullptr,
                       "[{}] wrote before the beginning of an allocation of {} bytes: byte {}",
                       kernel, place.bytes, before - data);
    const char* after = first_changed(data + place.bytes, place.begin + place.size);
    check<DeviceError>(after == nullptr,
                       "[{}] wrote past the end of an allocation of {} bytes: byte {}", kernel,
                       place.bytes, after - data);
  }
}

OpenMemory::OpenMemory(std::span<const Opening> openings)
    : openings_(openings.begin(), openings.end()) {
  for (const auto& [place, mode] : openings_) {
    protect(place, mode == AccessMode::Read ? PROT_READ : PROT_READ | PROT_WRITE);
  }
}

OpenMemory::OpenMemory(const Arena::Place& place)
    : OpenMemory(std::vector<Opening>{{place, AccessMode::Write}}) {}

OpenMemory::~OpenMemory() {
  for (const Opening& opening : openings_) {
    protect(opening.place, PROT_NONE);
  }
}

}  // namespace warptape::gpu::emulated
