#pragma once
// Accesses of 16 bytes, the widest that a thread has, and asynchronous copies from device to shared
// memory (sm_80's cp.async).

#include <cstdint>
#include <cstring>

#include "core/simt/host_device.h"

namespace warptape::simt {

// N elements that are loaded and stored together.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T values[N];
  WARPTAPE_HOST_DEVICE T& operator[](int i) { return values[i]; }
  WARPTAPE_HOST_DEVICE const T& operator[](int i) const { return values[i]; }
};

// Elements of T in 16 bytes.
template <class T>
inline constexpr int pack_size = 16 / static_cast<int>(sizeof(T));
template <class T>
using Pack16 = Pack<T, pack_size<T>>;

template <class T>
WARPTAPE_HOST_DEVICE bool is_aligned16(const T* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % 16 == 0;
}

#ifdef WARPTAPE_SIMT

namespace engine {
// One access, not one per element: the memory profile counts requests.
typedef uint32_t Word4 __attribute__((vector_size(16), may_alias));
__forceinline__ void check16(const void* pointer, const char* what) {
  if (reinterpret_cast<uintptr_t>(pointer) % 16 != 0) {
    misaligned(pointer, what);
  }
}
__forceinline__ void copy16(void* to, const void* from) {
  *static_cast<Word4*>(to) = *static_cast<const Word4*>(from);
}
// The target of a copy that is under way. Not an access of the kernel's for the memory profile.
#ifdef WARPTAPE_SIMT_PROFILE
WARPTAPE_SIMT_UNSEEN
#endif
inline void make_undefined16(void* to) {
  *static_cast<Word4*>(to) = Word4{~0u, ~0u, ~0u, ~0u};
}
// Fails unless the address lies in the block's shared memory.
void check_shared(const void* pointer, const char* what);
void start_async_copy(void* to, const void* from, unsigned bytes);
void commit_async_copies();
// The next copy to carry out so that at most `keep` groups are left; false if there is none.
bool take_async_copy(unsigned keep, void** to, const void** from, unsigned* bytes, const char* file,
                     int line);
}  // namespace engine

// pointer must be aligned to 16 bytes.
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

// Starts a copy of `bytes` (0 to 16) from device memory into 16 bytes of shared memory, the rest of
// which becomes zero. Both aligned to 16. Until waited for, the target is undefined (here: NaN).
__forceinline__ void cp_async16(void* shared, const void* global, unsigned bytes = 16) {
  engine::check16(shared, "cp_async16 to");
  engine::check16(global, "cp_async16 from");
  engine::start_async_copy(shared, global, bytes);
  engine::make_undefined16(shared);
}
inline void cp_async_commit() {
  engine::commit_async_copies();
}
// Waits until at most `Keep` of this thread's committed groups are under way. Others see the data
// behind a barrier.
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

#elif defined(__CUDACC__)

template <class T>
__device__ __forceinline__ Pack16<T> load16(const T* pointer) {
  const uint4 raw = *reinterpret_cast<const uint4*>(pointer);
  Pack16<T> result;
  memcpy(&result, &raw, sizeof raw);
  return result;
}
template <class T>
__device__ __forceinline__ void store16(T* pointer, const Pack16<T>& value) {
  uint4 raw;
  memcpy(&raw, &value, sizeof raw);
  if (__isShared(pointer)) {
    *reinterpret_cast<uint4*>(pointer) = raw;
  } else {
    // Said outright: out of a plain assignment nvcc makes four stores of 4 bytes now and then.
    asm volatile(
        "st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(pointer)),
        "r"(raw.x), "r"(raw.y), "r"(raw.z), "r"(raw.w)
        : "memory");
  }
}

__device__ __forceinline__ void cp_async16(void* shared, const void* global, unsigned bytes = 16) {
  const auto target = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(global),
               "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void cp_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int Keep>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Keep) : "memory");
}

#endif

}  // namespace warptape::simt
