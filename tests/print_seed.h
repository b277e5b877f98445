#pragma once
// Says with a failed test which thread orders its kernels ran in.

#include <gtest/gtest.h>

#include <cstdio>

#include "emulator/engine/engine.h"

namespace warptape {

class SeedPrinter : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& test) override {
    if (test.result()->Failed()) {
      std::printf("kernels ran with WARPTAPE_SIMT_SEED=%llu\n",
                  static_cast<unsigned long long>(simt::settings().seed));
    }
  }
};

inline void print_seed_with_failures() {
  testing::UnitTest::GetInstance()->listeners().Append(new SeedPrinter);  // the list owns it
}

}  // namespace warptape
