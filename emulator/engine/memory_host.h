#pragma once
// The accesses and copies of core/simt/memory.h on the engine. That header includes this one.

#include <cstdint>
#include <cstring>

#include "core/simt/build.h"
#include "core/simt/memory.h"
#include "emulator/engine/vocabulary_host.h"

namespace warptape::simt {

namespace engine {
// One access, not one per element: the memory profile counts requests.
typedef uint32_t Word4 __attribute__((vector_size(16), may_alias));
typedef uint32_t Word2 __attribute__((vector_size(8), may_alias));
__forceinline__ void check16(const void* pointer, const char* what) {
  if (reinterpret_cast<uintptr_t>(pointer) % 16 != 0) {
    misaligned(pointer, what, 16);
  }
}
__forceinline__ void check8(const void* pointer, const char* what) {
  if (reinterpret_cast<uintptr_t>(pointer) % 8 != 0) {
    misaligned(pointer, what, 8);
  }
}
__forceinline__ void copy16(void* to, const void* from) {
  *static_cast<Word4*>(to) = *static_cast<const Word4*>(from);
}
// The target of a copy that is under way. An access of the thread's for ThreadSanitizer, but not
// one of the kernel's for the memory profile.
void make_undefined16(void* to);
// Fails unless the address lies in the block's shared memory.
void check_shared(const void* pointer, const char* what);
void start_async_copy(void* to, const void* from, unsigned bytes);
void commit_async_copies();
// The next copy to carry out so that at most `keep` groups are left; false if there is none.
bool take_async_copy(unsigned keep, void** to, const void** from, unsigned* bytes, const char* file,
                     int line);
}  // namespace engine

template <class T>
__forceinline__ Pack16<T> load16(const T* pointer) {
  engine::check16(pointer, "load16");
  Pack16<T> result;
  engine::copy16(&result, pointer);
  return result;
}
template <class T>
__forceinline__ void store16(T* pointer, const Pack16<T>& value) {
  engine::check16(pointer, "store16");
  engine::copy16(pointer, &value);
}
template <class T>
__forceinline__ void store8(T* pointer, const Pack8<T>& value) {
  engine::check8(pointer, "store8");
  engine::Word2 raw;
  std::memcpy(&raw, &value, sizeof raw);
  *reinterpret_cast<engine::Word2*>(pointer) = raw;
}

template <int N>
__forceinline__ Pack<uint8_t, N> load_marks(const uint8_t* pointer) {
  if (reinterpret_cast<uintptr_t>(pointer) % N != 0) {
    engine::misaligned(pointer, "load_marks", N);
  }
  return *reinterpret_cast<const Pack<uint8_t, N>*>(pointer);
}

// The undefined target holds NaN.
__forceinline__ void cp_async16(void* shared, const void* global, unsigned bytes = 16) {
  engine::check16(shared, "cp_async16 to");
  engine::check16(global, "cp_async16 from");
  engine::start_async_copy(shared, global, bytes);
  engine::make_undefined16(shared);
}
inline void cp_async_commit() {
  engine::commit_async_copies();
}
template <int Keep>
__forceinline__ void cp_async_wait(const char* file = __builtin_FILE(),
                                   int line = __builtin_LINE()) {
  void* to = nullptr;
  const void* from = nullptr;
  unsigned bytes = 0;
  while (engine::take_async_copy(Keep, &to, &from, &bytes, file, line)) {
    engine::Word4 value = {0, 0, 0, 0};
    if (bytes == 16) {
      engine::copy16(&value, from);
    } else if (bytes > 0) {
      std::memcpy(&value, from, bytes);
    }
    engine::copy16(to, &value);
  }
}

}  // namespace warptape::simt
