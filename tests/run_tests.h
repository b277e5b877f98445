#pragma once
// What the mains of the test programs have in common.

#include <gtest/gtest.h>

#include <cstdio>

#include "core/simt/build.h"

#ifdef WARPTAPE_SIMT
#include "tests/print_seed.h"
#endif

namespace warptape {

// Runs what InitGoogleTest's filter leaves, and fails if that is nothing.
inline int run_tests() {
#ifdef WARPTAPE_SIMT
  print_seed_with_failures();
#endif
  const int result = RUN_ALL_TESTS();
  if (testing::UnitTest::GetInstance()->test_to_run_count() == 0 &&
      !testing::GTEST_FLAG(list_tests)) {
    std::fprintf(stderr, "no test matches the filter\n");
    return 1;
  }
  return result;
}

}  // namespace warptape
