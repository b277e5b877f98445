#pragma once
// Accesses of 16 bytes, the widest that a thread has, and asynchronous copies from device to shared
// memory (sm_80's cp.async). All pointers are aligned to 16 bytes, store8's to 8.
//
//   load16(pointer), store16(pointer, pack): one access
//   store8(pointer, pack): one access of 8 bytes: what 16 of a type twice as wide are rounded to
//   load_marks<N>(pointer): N bytes beside N elements of another type, aligned to N, in one access
//   cp_async16(shared, global, bytes = 16): starts a copy of 0 to 16 bytes into 16 bytes of shared
//       memory, the rest of which becomes zero; until waited for, the target is undefined
//   cp_async_commit(): this thread's copies since the last call are a group
//   cp_async_wait<Keep>(): until at most Keep of this thread's groups are under way; others see the
//       data behind a barrier

#include <cstdint>
#include <cstring>

#include "core/simt/build.h"
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
using Pack8 = Pack<T, pack_size<T> / 2>;

template <class T>
WARPTAPE_HOST_DEVICE bool is_aligned16(const T* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % 16 == 0;
}

}  // namespace warptape::simt

#ifdef WARPTAPE_SIMT
#include "emulator/engine/memory_host.h"
#elif defined(__CUDACC__)

namespace warptape::simt {

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
// As store16, for device memory: here nvcc makes a store for each element.
template <class T>
__device__ __forceinline__ void store8(T* pointer, const Pack8<T>& value) {
  uint2 raw;
  memcpy(&raw, &value, sizeof raw);
  if (__isShared(pointer)) {
    *reinterpret_cast<uint2*>(pointer) = raw;
  } else {
    asm volatile("st.global.v2.u32 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global(pointer)),
                 "r"(raw.x), "r"(raw.y)
                 : "memory");
  }
}

template <int N>
__device__ __forceinline__ Pack<uint8_t, N> load_marks(const uint8_t* pointer) {
  return *reinterpret_cast<const Pack<uint8_t, N>*>(pointer);
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

}  // namespace warptape::simt

#endif
