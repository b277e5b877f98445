#include "tests/support/sanitizers.h"

#if defined(__SANITIZE_ADDRESS__)
#define WARPTAPE_TEST_ASAN true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WARPTAPE_TEST_ASAN true
#endif
#endif
#ifndef WARPTAPE_TEST_ASAN
#define WARPTAPE_TEST_ASAN false
#endif

namespace warptape {

bool under_address_sanitizer() {
  return WARPTAPE_TEST_ASAN;
}

bool under_thread_sanitizer() {
#ifdef __SANITIZE_THREAD__
  return true;
#else
  return false;
#endif
}

}  // namespace warptape
