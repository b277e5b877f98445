// The functions that -fsanitize=thread makes the compiler call at each access to memory. Kernels
// are compiled with that option and linked with these instead of ThreadSanitizer's own.

#include "emulator/profile/tsan_hooks.h"

#include <algorithm>
#include <cstdint>

using warptape::simt::profile::Access;
using warptape::simt::profile::access;

namespace {

// A struct copied as a whole: the compiler of the GPU moves it word by word.
void access_words(const void* address, size_t bytes, Access kind, const void* pc) {
  constexpr size_t word = 4;
  for (size_t i = 0; i < bytes; i += word) {
    access(static_cast<const char*>(address) + i, static_cast<unsigned>(std::min(word, bytes - i)),
           kind, pc);
  }
}

}  // namespace

#define WARPTAPE_PC __builtin_return_address(0)

#define WARPTAPE_ACCESSES(BYTES)                              \
  void __tsan_read##BYTES(void* address) {                    \
    access(address, BYTES, Access::Read, WARPTAPE_PC);        \
  }                                                           \
  void __tsan_write##BYTES(void* address) {                   \
    access(address, BYTES, Access::Write, WARPTAPE_PC);       \
  }                                                           \
  void __tsan_unaligned_read##BYTES(void* address) {          \
    access_words(address, BYTES, Access::Read, WARPTAPE_PC);  \
  }                                                           \
  void __tsan_unaligned_write##BYTES(void* address) {         \
    access_words(address, BYTES, Access::Write, WARPTAPE_PC); \
  }                                                           \
  void __tsan_volatile_read##BYTES(void* address) {           \
    access(address, BYTES, Access::Read, WARPTAPE_PC);        \
  }                                                           \
  void __tsan_volatile_write##BYTES(void* address) {          \
    access(address, BYTES, Access::Write, WARPTAPE_PC);       \
  }

// The orders are ignored: blocks run one at a time.
#define WARPTAPE_ATOMIC_UPDATE(T, BITS, NAME)                                \
  T __tsan_atomic##BITS##_##NAME(volatile T* address, T value, int) {        \
    access(const_cast<T*>(address), sizeof(T), Access::Atomic, WARPTAPE_PC); \
    return __atomic_##NAME(address, value, __ATOMIC_SEQ_CST);                \
  }
#define WARPTAPE_ATOMIC_COMPARE(T, BITS, NAME)                                                  \
  bool __tsan_atomic##BITS##_compare_exchange_##NAME(volatile T* address, T* expected, T value, \
                                                     int, int) {                                \
    access(const_cast<T*>(address), sizeof(T), Access::Atomic, WARPTAPE_PC);                    \
    return __atomic_compare_exchange_n(address, expected, value, false, __ATOMIC_SEQ_CST,       \
                                       __ATOMIC_SEQ_CST);                                       \
  }
// A load is not counted: kernels have it only within an update of the vocabulary's, which is one
// instruction on a GPU.
#define WARPTAPE_ATOMICS(T, BITS)                                            \
  T __tsan_atomic##BITS##_load(const volatile T* address, int) {             \
    return __atomic_load_n(address, __ATOMIC_SEQ_CST);                       \
  }                                                                          \
  void __tsan_atomic##BITS##_store(volatile T* address, T value, int) {      \
    access(const_cast<T*>(address), sizeof(T), Access::Atomic, WARPTAPE_PC); \
    __atomic_store_n(address, value, __ATOMIC_SEQ_CST);                      \
  }                                                                          \
  T __tsan_atomic##BITS##_exchange(volatile T* address, T value, int) {      \
    access(const_cast<T*>(address), sizeof(T), Access::Atomic, WARPTAPE_PC); \
    return __atomic_exchange_n(address, value, __ATOMIC_SEQ_CST);            \
  }                                                                          \
  WARPTAPE_ATOMIC_UPDATE(T, BITS, fetch_add)                                 \
  WARPTAPE_ATOMIC_UPDATE(T, BITS, fetch_sub)                                 \
  WARPTAPE_ATOMIC_UPDATE(T, BITS, fetch_and)                                 \
  WARPTAPE_ATOMIC_UPDATE(T, BITS, fetch_or)                                  \
  WARPTAPE_ATOMIC_UPDATE(T, BITS, fetch_xor)                                 \
  WARPTAPE_ATOMIC_COMPARE(T, BITS, strong)                                   \
  WARPTAPE_ATOMIC_COMPARE(T, BITS, weak)

extern "C" {

WARPTAPE_ACCESSES(1)
WARPTAPE_ACCESSES(2)
WARPTAPE_ACCESSES(4)
WARPTAPE_ACCESSES(8)
WARPTAPE_ACCESSES(16)

void __tsan_read_range(void* address, unsigned long bytes) {
  access_words(address, bytes, Access::Read, WARPTAPE_PC);
}
void __tsan_write_range(void* address, unsigned long bytes) {
  access_words(address, bytes, Access::Write, WARPTAPE_PC);
}

WARPTAPE_ATOMICS(uint8_t, 8)
WARPTAPE_ATOMICS(uint16_t, 16)
WARPTAPE_ATOMICS(uint32_t, 32)
WARPTAPE_ATOMICS(uint64_t, 64)

void __tsan_init() {}
void __tsan_func_entry(void* caller) {
  warptape::simt::profile::enter_function(caller);
}
void __tsan_func_exit() {
  warptape::simt::profile::leave_function();
}
void __tsan_vptr_read(void**) {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_atomic_thread_fence(int) {}
void __tsan_atomic_signal_fence(int) {}

}  // extern "C"
