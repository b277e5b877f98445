// The main of the tests written with TEST(). Those of case tables are another program's
// (kernels/case_main.cpp).

#include "tests/run_tests.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return warptape::run_tests();
}
