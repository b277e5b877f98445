// Weight norm of rows whose squares overflow or vanish.

#include "core/tape.h"
#include "kernels/weight_norm/weight_norm.h"
#include "tests/layers/near.h"

namespace warptape {
namespace {

using Values = std::vector<double>;

// w = g v / ||v|| and its gradients do not depend on the size of v, but for dv, which is its
// inverse.
TEST(WeightNormSizes, RowsOfAnySizeAreNormalised) {
  for (DType dtype : {float32, float64}) {
    const Values sizes = dtype == float32 ? Values{1e-37, 1e-25, 1e25, 1e37}
                                          : Values{1e-300, 1e-200, 1e-160, 1e160, 1e200, 1e300};
    const double bound = dtype == float32 ? 1e-6 : 1e-14;
    for (double size : sizes) {
      const auto cast = [&](const Values& elements, const Shape& shape) {
        return primitives::cast(tensor(elements, shape), dtype);
      };
      Parameter v(cast({3 * size, 4 * size, 1, 2}, {2, 2}));
      Parameter g(cast({10, 1}, {2, 1}));
      EXPECT_NEAR(values(norm_except_dim(v.value()))[0] / (5 * size), 1, bound) << size;
      Tape tape;
      const Tensor w = weight_norm(v, g);
      EXPECT_NEAR(values(w)[0], 6, 6 * bound) << size;
      EXPECT_NEAR(values(w)[1], 8, 8 * bound) << size;
      tape.backward(w, cast({1, 2, 0, 0}, {2, 2}));
      EXPECT_NEAR(values(g.grad())[0], 2.2, 2.2 * bound) << size;  // (3 + 8) / 5
      // g / ||v|| (dw - v / ||v|| 2.2)
      EXPECT_NEAR(values(v.grad())[0] * size, 2 * (1 - 0.6 * 2.2), 20 * bound) << size;
      EXPECT_NEAR(values(v.grad())[1] * size, 2 * (2 - 0.8 * 2.2), 20 * bound) << size;
    }
  }
}

TEST(WeightNormSizes, GainsAndRowsOfOppositeSizesMeetInBetween) {
  for (const auto& [size, gain] : {std::pair(1e-200, 1e150), std::pair(1e200, 1e-150)}) {
    const Parameter v(tensor<double>({3 * size, 4 * size}, {1, 2}));
    const Parameter g(tensor<double>({gain}, {1, 1}));
    const Values w = values(weight_norm(v, g));
    EXPECT_NEAR(w[0] / gain, 0.6, 1e-15);
    EXPECT_NEAR(w[1] / gain, 0.8, 1e-15);
  }
}

TEST(WeightNormSizes, GradientsAsSmallAsTheirRowsDoNotVanish) {
  Parameter v(tensor<double>({3e-200, 4e-200}, {1, 2}));
  Parameter g(tensor<double>({1}, {1, 1}));
  Tape tape;
  tape.backward(weight_norm(v, g), tensor<double>({1e-200, 2e-200}, {1, 2}));
  EXPECT_NEAR(values(g.grad())[0] / 1e-200, 2.2, 1e-14);
  EXPECT_NEAR(values(v.grad())[0] * 5, 1 - 0.6 * 2.2, 1e-14);
}

}  // namespace
}  // namespace warptape
