// The main of all tests: registers the ops' case tables beside the tests written with TEST(), and
// fails if the filter leaves nothing to run.

#include <gtest/gtest.h>

#include <cstdio>

#include "tests/kernels/case_runner.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  warptape::register_case_tables();
  const int result = RUN_ALL_TESTS();
  if (testing::UnitTest::GetInstance()->test_to_run_count() == 0 &&
      !testing::GTEST_FLAG(list_tests)) {
    std::fprintf(stderr, "no test matches the filter\n");
    return 1;
  }
  return result;
}
