// The main of the engine's tests: a program of its own, small enough for every sanitizer, and
// linked a second time with the engine's portable fibers.

#include <gtest/gtest.h>

#include "tests/run_tests.h"

// A race ends the program: planted ones are expected to, in a child process.
extern "C" const char* __tsan_default_options() {
  return "halt_on_error=1";
}

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  return warptape::run_tests();
}
