// SimpleCNN and the same model written by hand and as a Sequential, on "cuda".

#include "tests/models/plain_models.h"

#include <gtest/gtest.h>

#include "core/random.h"
#include "core/tape.h"
#include "tests/core/device/gpu_test.h"

namespace warptape {
namespace {

class PlainModels : public GpuTest {};

TEST_F(PlainModels, HaveTheSameBits) {
  manual_seed(3);
  expect_the_same_bits({DeviceType::CUDA, 0}, 1);
}

}  // namespace
}  // namespace warptape
