#include "core/simt/shared_memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/simt/sanitizers.h"

namespace warptape::simt {
namespace {

// AddressSanitizer guards allocations itself; elsewhere bytes behind each one are checked at the
// end.
#ifdef WARPTAPE_ASAN
constexpr size_t guard_bytes = 0;
#else
constexpr size_t guard_bytes = 64;
#endif
constexpr unsigned char guard = 0xFD;
constexpr size_t smallest_alignment = 16;

}  // namespace

void* SharedMemory::allocate(const void* key, size_t bytes, size_t alignment) {
  const TsanForgets forget;
  void* memory = nullptr;
  if (::posix_memalign(&memory, std::max(alignment, smallest_alignment), bytes + guard_bytes) !=
      0) {
    throw std::bad_alloc();
  }
  std::memset(memory, 0xFF, bytes);
  std::memset(static_cast<char*>(memory) + bytes, guard, guard_bytes);
  variables_.push_back({key, static_cast<char*>(memory), bytes});
  bytes_ += bytes;
  return memory;
}

void SharedMemory::allocate_dynamic(size_t bytes) {
  if (bytes > 0) {
    dynamic_ = allocate(&dynamic_, bytes, smallest_alignment);
  }
}

void* SharedMemory::find(const void* key) const {
  for (const Variable& variable : variables_) {
    if (variable.key == key) {
      return variable.memory;
    }
  }
  return nullptr;
}

bool SharedMemory::contains(const void* address) const {
  return std::any_of(variables_.begin(), variables_.end(), [&](const Variable& variable) {
    return address >= variable.memory && address < variable.memory + variable.bytes;
  });
}

bool SharedMemory::release() {
  const TsanForgets forget;
  bool intact = true;
  for (const Variable& variable : variables_) {
    const char* end = variable.memory + variable.bytes;
    intact = intact && std::all_of(end, end + guard_bytes, [](char byte) {
               return static_cast<unsigned char>(byte) == guard;
             });
    std::free(variable.memory);
  }
  variables_.clear();
  dynamic_ = nullptr;
  bytes_ = 0;
  return intact;
}

}  // namespace warptape::simt
