#include "emulator/engine/shared_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "emulator/engine/sanitizers.h"

namespace warptape::simt {
namespace {

constexpr size_t alignment = 16;
// AddressSanitizer guards allocations itself; elsewhere bytes around each one are checked at the
// end.
#ifdef WARPTAPE_ASAN
constexpr size_t guard_bytes = 0;
#else
constexpr size_t guard_bytes = 64;
#endif
constexpr int guard = 0xFD;

bool intact(const char* guards) {
  return std::all_of(guards, guards + guard_bytes,
                     [](char byte) { return byte == static_cast<char>(guard); });
}

}  // namespace

void* SharedMemory::allocate(const void* key, size_t bytes) {
  const TsanForgets forget;
  void* memory = nullptr;
  if (::posix_memalign(&memory, alignment, guard_bytes + bytes + guard_bytes) != 0) {
    throw std::bad_alloc();
  }
  char* variable = static_cast<char*>(memory) + guard_bytes;
  std::memset(memory, guard, guard_bytes);
  std::memset(variable, 0xFF, bytes);
  std::memset(variable + bytes, guard, guard_bytes);
  variables_.push_back({key, variable, bytes});
  bytes_ += bytes;
  return variable;
}

void SharedMemory::allocate_dynamic(size_t bytes) {
  if (bytes > 0) {
    dynamic_ = allocate(&dynamic_, bytes);
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

std::string SharedMemory::release() {
  const TsanForgets forget;
  std::string overrun;
  for (const Variable& variable : variables_) {
    const bool before = !intact(variable.memory - guard_bytes);
    if (before || !intact(variable.memory + variable.bytes)) {
      overrun = fmt::format("shared memory: written {} a {} variable of {} bytes",
                            before ? "before the start of" : "behind the end of",
                            variable.key == &dynamic_ ? "dynamic" : "static", variable.bytes);
    }
    std::free(variable.memory - guard_bytes);
  }
  variables_.clear();
  dynamic_ = nullptr;
  bytes_ = 0;
  return overrun;
}

}  // namespace warptape::simt
