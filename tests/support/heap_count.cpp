#include "tests/support/heap_count.h"

#include <cstdlib>
#include <new>

#include "core/simt/build.h"

#ifdef WARPTAPE_SIMT
#include "emulator/device/emulated.h"
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WARPTAPE_OWN_OPERATOR_NEW 0
#else
#define WARPTAPE_OWN_OPERATOR_NEW 1
#endif

namespace warptape {
namespace {

thread_local constinit uint64_t counted = 0;

}  // namespace

bool counts_heap_allocations() {
  return WARPTAPE_OWN_OPERATOR_NEW != 0;
}

uint64_t heap_allocations() {
  return counted;
}

#if WARPTAPE_OWN_OPERATOR_NEW
namespace heap_count {

void count_one() {
#ifdef WARPTAPE_SIMT
  if (gpu::emulated::is_inside()) {
    return;
  }
#endif
  ++counted;
}

}  // namespace heap_count
#endif

}  // namespace warptape

#if WARPTAPE_OWN_OPERATOR_NEW
// The other forms of the library call these two.
void* operator new(std::size_t bytes) {
  warptape::heap_count::count_one();
  if (void* const pointer = std::malloc(bytes == 0 ? 1 : bytes)) {
    return pointer;
  }
  throw std::bad_alloc();
}

void operator delete(void* pointer) noexcept {
  std::free(pointer);
}

void operator delete(void* pointer, std::size_t) noexcept {
  std::free(pointer);
}
#endif
