// Which of a function's clones runs.

#include "core/clones.h"

#include <gtest/gtest.h>

#include <functional>

#if WARPTAPE_HAS_CLONES

// Static: what lies in an unnamed namespace is not seen from here where tests are united.
[[gnu::noinline]] static const void* called_from() {
  return __builtin_return_address(0);
}

extern "C" {

// Returns an address within the clone that runs. The sum makes clones of different code.
WARPTAPE_CLONES const void* warptape_test_clone(float* x, int count) {
  const void* const here = called_from();
  for (int i = 0; i < count; ++i) {
    x[i] += 1;
  }
  return here;
}

// As g++ calls them.
void warptape_test_clone_avx512f() asm("warptape_test_clone.avx512f");
void warptape_test_clone_avx2() asm("warptape_test_clone.avx2");
void warptape_test_clone_default() asm("warptape_test_clone.default");
}

#endif

namespace warptape {
namespace {

TEST(Clones, TheOneForTheProcessorRuns) {
#if WARPTAPE_HAS_CLONES
  float x[3] = {};
  const void* const here = warptape_test_clone(x, 3);
  EXPECT_EQ(x[2], 1);
  // The last one that begins before it.
  const void* begin = nullptr;
  const char* ran = "";
  for (const auto& [name, clone] : {std::pair("avx512f", &warptape_test_clone_avx512f),
                                    std::pair("avx2", &warptape_test_clone_avx2),
                                    std::pair("default", &warptape_test_clone_default)}) {
    const void* const its = reinterpret_cast<const void*>(clone);
    const std::less<> less;
    if (!less(here, its) && (begin == nullptr || less(begin, its))) {
      begin = its;
      ran = name;
    }
  }
  EXPECT_STREQ(ran, __builtin_cpu_supports("avx512f") ? "avx512f"
                    : __builtin_cpu_supports("avx2")  ? "avx2"
                                                      : "default");
#else
  GTEST_SKIP() << "functions have no clones in this build";
#endif
}

}  // namespace
}  // namespace warptape
