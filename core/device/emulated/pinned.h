#pragma once
// Host memory that asynchronous copies can use.

#include <cstddef>
#include <cstdint>
#include <map>

namespace warptape::gpu::emulated {

class PinnedMemory {
 public:
  void* allocate(size_t bytes);             // nullptr if there is none left
  bool deallocate(void* pointer) noexcept;  // false if it is not pinned memory

  // The number of the allocation in which all of [pointer, pointer + bytes) lies; 0 if in none.
  uint64_t find(const void* pointer, size_t bytes) const;

 private:
  struct Piece {
    size_t bytes;
    uint64_t id;
  };
  std::map<const char*, Piece> pieces_;
  uint64_t last_id_ = 0;
};

}  // namespace warptape::gpu::emulated
