// The main of all tests: registers the ops' case tables beside the tests written with TEST(), and
// fails if the filter leaves nothing to run.

#include <gtest/gtest.h>

#include <cstdio>

#include "tests/kernels/case_runner.h"
#ifdef WARPTAPE_SIMT
#include "tests/print_seed.h"
#endif

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  warptape::register_case_tables();
#ifdef WARPTAPE_SIMT
  warptape::print_seed_with_failures();
#endif
  const int result = RUN_ALL_TESTS();
  if (testing::UnitTest::GetInstance()->test_to_run_count() == 0 &&
      !testing::GTEST_FLAG(list_tests)) {
    std::fprintf(stderr, "no test matches the filter\n");
    return 1;
  }
  return result;
}
