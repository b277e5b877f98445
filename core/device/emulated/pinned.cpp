#include "core/device/emulated/pinned.h"

#include <cstdlib>

namespace warptape::gpu::emulated {

void* PinnedMemory::allocate(size_t bytes) {
  constexpr size_t page = 4096;
  void* pointer = nullptr;
  if (::posix_memalign(&pointer, page, bytes) != 0) {
    return nullptr;
  }
  pieces_[static_cast<const char*>(pointer)] = {bytes, ++last_id_};
  return pointer;
}

bool PinnedMemory::deallocate(void* pointer) noexcept {
  if (pieces_.erase(static_cast<const char*>(pointer)) == 0) {
    return false;
  }
  std::free(pointer);
  return true;
}

uint64_t PinnedMemory::find(const void* pointer, size_t bytes) const {
  const auto* begin = static_cast<const char*>(pointer);
  auto found = pieces_.upper_bound(begin);
  if (found == pieces_.begin()) {
    return 0;
  }
  const auto& [start, piece] = *--found;
  return begin + bytes <= start + piece.bytes ? piece.id : 0;
}

}  // namespace warptape::gpu::emulated
