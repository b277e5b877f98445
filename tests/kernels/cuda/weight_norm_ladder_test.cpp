// Every rung of the teaching example gives what the op gives.

#include "examples/weight_norm_ladder/weight_norm_ladder.h"

#include <gtest/gtest.h>

#include "core/random.h"
#include "kernels/weight_norm/weight_norm.h"
#include "tests/core/device/gpu_test.h"

namespace warptape {
namespace {

class WeightNormLadder : public GpuTest {};

TEST_F(WeightNormLadder, EveryRungIsRight) {
  for (const auto& [rows, length] :
       {std::pair<int64_t, int64_t>{1, 4}, {5, 28}, {3, 576}, {2, 4096}}) {
    Tensor v = randn({rows, length});
    Tensor g = randn({rows, 1});
    std::fill_n(v.mutable_data<float>(), length, 0.0f);  // a row of zeros
    const std::vector<float> expected = weight_norm(v, g).to_vector<float>();
    const Tensor v_cuda = v.to(cuda);
    const Tensor g_cuda = g.to(cuda);
    for (const ladder::Rung rung : ladder::rungs) {
      Tensor w = Tensor::empty(v.shape(), float32, cuda);
      ladder::weight_norm(rung, v_cuda.data<float>(), g_cuda.data<float>(), w.mutable_data<float>(),
                          rows, length, gpu::current_stream());
      const std::vector<float> got = w.to(cpu).to_vector<float>();
      for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_NEAR(got[i], expected[i], 2e-6f) << name_of(rung) << ", rows of " << length;
      }
    }
  }
}

}  // namespace
}  // namespace warptape
