#pragma once
// What AddressSanitizer and ThreadSanitizer must be told about fibers. Without a sanitizer these
// are empty.

#include <cstddef>

#if defined(WARPTAPE_SIMT_TSAN) || defined(__SANITIZE_THREAD__)
#define WARPTAPE_TSAN 1
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WARPTAPE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WARPTAPE_ASAN 1
#endif
#endif
#ifdef WARPTAPE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#ifdef WARPTAPE_TSAN
extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);
extern "C" void AnnotateIgnoreWritesBegin(const char* file, int line);
extern "C" void AnnotateIgnoreWritesEnd(const char* file, int line);
extern "C" void __tsan_write16(void* address);  // an access of the thread's
#endif

namespace warptape::simt {

#ifdef WARPTAPE_TSAN
inline constexpr bool thread_sanitizer = true;
using TsanFiber = void*;
inline TsanFiber tsan_create_fiber() {
  return __tsan_create_fiber(0);
}
inline void tsan_destroy_fiber(TsanFiber fiber) {
  __tsan_destroy_fiber(fiber);
}
inline TsanFiber tsan_current_fiber() {
  return __tsan_get_current_fiber();
}
inline void tsan_name_fiber(TsanFiber fiber, const char* name) {
  __tsan_set_fiber_name(fiber, name);
}
// Switching orders nothing: only barriers do.
inline void tsan_switch_to(TsanFiber fiber) {
  __tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync);
}
inline void tsan_release(void* tag) {
  __tsan_release(tag);
}
inline void tsan_acquire(void* tag) {
  __tsan_acquire(tag);
}

// While it lives, accesses leave no history: memory that is allocated comes without one, so that
// reuse of an address is no race and orders nothing.
class TsanForgets {
 public:
  TsanForgets() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~TsanForgets() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
  TsanForgets(const TsanForgets&) = delete;
  TsanForgets& operator=(const TsanForgets&) = delete;
};
#else
inline constexpr bool thread_sanitizer = false;
using TsanFiber = void*;
inline TsanFiber tsan_create_fiber() {
  return nullptr;
}
inline void tsan_destroy_fiber(TsanFiber) {}
inline TsanFiber tsan_current_fiber() {
  return nullptr;
}
inline void tsan_name_fiber(TsanFiber, const char*) {}
inline void tsan_switch_to(TsanFiber) {}
inline void tsan_release(void*) {}
inline void tsan_acquire(void*) {}
struct TsanForgets {
  TsanForgets() {}
  ~TsanForgets() {}
};
#endif

#ifdef WARPTAPE_ASAN
inline void asan_start_switch(void** save, const void* bottom, size_t size) {
  __sanitizer_start_switch_fiber(save, bottom, size);
}
inline void asan_finish_switch(void* saved, const void** bottom, size_t* size) {
  __sanitizer_finish_switch_fiber(saved, bottom, size);
}
inline void asan_unpoison(const void* pointer, size_t size) {
  __asan_unpoison_memory_region(pointer, size);
}
#else
inline void asan_start_switch(void**, const void*, size_t) {}
inline void asan_finish_switch(void*, const void**, size_t*) {}
inline void asan_unpoison(const void*, size_t) {}
#endif

}  // namespace warptape::simt
