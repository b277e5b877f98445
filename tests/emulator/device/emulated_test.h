#pragma once
// Tests of what only the emulated device can show: it starts clean and with a given order of work.

#include "emulator/device/emulated.h"
#include "tests/core/device/gpu_test.h"

namespace warptape {

class EmulatedTest : public ::testing::Test {
 protected:
  void SetUp() override { gpu::emulated::set_order(gpu::emulated::Order::Late); }
  void TearDown() override {
    gpu::emulated::reset_device();
    gpu::emulated::set_order(order_);
  }

 private:
  const gpu::emulated::Order order_ = gpu::emulated::order();
};

}  // namespace warptape
