// What PyTorch prints for the same tensors, apart from its prefix "torch." before dtypes.

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <sstream>

#include "core/primitives.h"

namespace warptape {
namespace {

TEST(TensorPrint, WholeFloatsEndInADot) {
  EXPECT_EQ(to_string(tensor<float>({1, 2, 3, 4}, {2, 2})),
            "tensor([[1., 2.],\n"
            "        [3., 4.]])");
}

TEST(TensorPrint, FloatsHaveFourDigitsInOneWidth) {
  EXPECT_EQ(to_string(tensor<float>({0.5F, -1.25F, 10}, {3})),
            "tensor([ 0.5000, -1.2500, 10.0000])");
}

TEST(TensorPrint, IntegersAreAlignedRight) {
  EXPECT_EQ(to_string(tensor<int64_t>({1, -20, 300}, {3})), "tensor([  1, -20, 300])");
}

TEST(TensorPrint, NamesUnusualDtypes) {
  EXPECT_EQ(to_string(tensor<uint8_t>({1, 255}, {2})), "tensor([  1, 255], dtype=uint8)");
  EXPECT_EQ(to_string(tensor<double>({0.25}, {1})), "tensor([0.2500], dtype=float64)");
}

TEST(TensorPrint, ScalarsHaveNoBrackets) {
  EXPECT_EQ(to_string(tensor<float>({3.5F}, {})), "tensor(3.5000)");
  EXPECT_EQ(to_string(tensor<int64_t>({7}, {})), "tensor(7)");
}

TEST(TensorPrint, BlocksAreSeparatedByEmptyLines) {
  EXPECT_EQ(to_string(tensor<float>({1, 2, 3, 4}, {2, 1, 2})),
            "tensor([[[1., 2.]],\n"
            "\n"
            "        [[3., 4.]]])");
}

TEST(TensorPrint, NansAndInfinities) {
  EXPECT_EQ(to_string(tensor<float>({NAN, INFINITY, -INFINITY, 1.5F}, {4})),
            "tensor([   nan,    inf,   -inf, 1.5000])");
  EXPECT_EQ(to_string(tensor<float>({1, NAN}, {2})), "tensor([1., nan])");
}

TEST(TensorPrint, ScientificWhereElementsAreTinyOrLarge) {
  EXPECT_EQ(to_string(tensor<float>({0.00005F, 0.0001F}, {2})), "tensor([5.0000e-05, 1.0000e-04])");
  EXPECT_EQ(to_string(tensor<float>({2e8F}, {1})), "tensor([2.0000e+08])");
  EXPECT_EQ(to_string(tensor<float>({1e8F}, {1})), "tensor([100000000.])");
}

TEST(TensorPrint, ScientificWhereTheLargestIsMoreThanAThousandTimesTheSmallest) {
  EXPECT_EQ(to_string(tensor<float>({0.5F, 600.5F}, {2})), "tensor([5.0000e-01, 6.0050e+02])");
  EXPECT_EQ(to_string(tensor<float>({1, 2000}, {2})), "tensor([1.0000e+00, 2.0000e+03])");
  EXPECT_EQ(to_string(tensor<float>({0, 1, 1000}, {3})), "tensor([   0.,    1., 1000.])");
}

TEST(TensorPrint, LargeSingleFloatsStayPlain) {
  EXPECT_EQ(to_string(tensor<float>({200000.5F}, {1})), "tensor([200000.5000])");
}

TEST(TensorPrint, EmptyTensorsShowTheirSizeUnlessOneDimensional) {
  EXPECT_EQ(to_string(Tensor::empty({0})), "tensor([])");
  EXPECT_EQ(to_string(Tensor::empty({2, 0})), "tensor([], size=(2, 0))");
  EXPECT_EQ(to_string(Tensor::empty({0, 3}, float64)), "tensor([], size=(0, 3), dtype=float64)");
  EXPECT_EQ(to_string(Tensor::empty({0}, int64)), "tensor([], dtype=int64)");
}

TEST(TensorPrint, LinesWrapAtEightyColumns) {
  std::vector<int64_t> values(20);
  std::iota(values.begin(), values.end(), 0);
  EXPECT_EQ(to_string(tensor(values, {20})),
            "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
            "        18, 19])");
}

TEST(TensorPrint, LongVectorsAreCutToTheirEnds) {
  std::vector<int64_t> values(1001);
  std::iota(values.begin(), values.end(), 0);
  EXPECT_EQ(to_string(tensor(values, {1001})),
            "tensor([   0,    1,    2,  ...,  998,  999, 1000])");
}

TEST(TensorPrint, CutVectorsWrapToo) {
  std::vector<float> values(1200);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i) * 0.3F;
  }
  EXPECT_EQ(to_string(tensor(values, {1200})),
            "tensor([0.0000e+00, 3.0000e-01, 6.0000e-01,  ..., 3.5910e+02, 3.5940e+02,\n"
            "        3.5970e+02])");
}

TEST(TensorPrint, LongDimensionsAreCutToTheirEnds) {
  EXPECT_EQ(to_string(Tensor::zeros({501, 2})),
            "tensor([[0., 0.],\n"
            "        [0., 0.],\n"
            "        [0., 0.],\n"
            "        ...,\n"
            "        [0., 0.],\n"
            "        [0., 0.],\n"
            "        [0., 0.]])");
}

TEST(TensorPrint, ThousandElementsAreNotCut) {
  EXPECT_EQ(to_string(Tensor::zeros({100, 10})).find("..."), std::string::npos);
}

TEST(TensorPrint, ChannelsLastPrintsInLogicalOrder) {
  std::vector<float> values(24);
  std::iota(values.begin(), values.end(), 0.0F);
  const Tensor x = tensor(values, {2, 3, 2, 2});
  EXPECT_EQ(to_string(primitives::relayout(x, MemoryFormat::ChannelsLast)), to_string(x));
}

TEST(TensorPrint, UndefinedTensorsSaySo) {
  EXPECT_EQ(to_string(Tensor()), "tensor(undefined)");
}

TEST(TensorPrint, StreamsPrintTheSame) {
  const Tensor x = tensor<float>({1, 2}, {2});
  std::ostringstream out;
  out << x;
  EXPECT_EQ(out.str(), to_string(x));
}

}  // namespace
}  // namespace warptape
