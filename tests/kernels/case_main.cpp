// The main of a program that runs case tables. It is a library's: the program has only the tables.

#include "tests/kernels/case_runner.h"
#include "tests/run_tests.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  warptape::register_case_tables();
  return warptape::run_tests();
}
