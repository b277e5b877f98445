// Losses on "cuda": their launches, how operands lie beside packs, what is reported.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/strided.h"
#include "core/tape.h"
#include "kernels/losses/loss_places.h"
#include "kernels/ops.h"
#include "tests/core/device/gpu_test.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

using losses::Lies;

// Of an operand of this shape beside a row-major input, in packs of four; its dimensions are the
// input's first ones, or the last ones.
Lies lies(const Shape& input, const Shape& operand, bool trailing = false, bool is_aligned = true) {
  Strides strides{};
  const Strides own = strides_of(operand, MemoryFormat::RowMajor);
  const int before = trailing ? input.rank() - operand.rank() : 0;
  for (int d = 0; d < operand.rank(); ++d) {
    strides[static_cast<size_t>(d + before)] = operand[d] == 1 ? 0 : own[static_cast<size_t>(d)];
  }
  const losses::LossLoop loop = make_strided_loop<4>(
      input, MemoryFormat::RowMajor,
      {strides_of(input, MemoryFormat::RowMajor), strides, Strides{}, Strides{}});
  return losses::lies_of(loop, losses::target_operand, 4, is_aligned);
}

TEST(LossPlaces, OperandsBesidePacks) {
  EXPECT_EQ(lies({5, 7}, {5, 7}), Lies::Along);
  EXPECT_EQ(lies({5, 7}, {5, 7}, false, false), Lies::Anyhow);
  EXPECT_EQ(lies({5, 8}, {5}), Lies::Repeated);
  EXPECT_EQ(lies({5, 8}, {5, 1}), Lies::Repeated);
  EXPECT_EQ(lies({5, 8}, {}), Lies::Repeated);
  EXPECT_EQ(lies({5, 8}, {8}, true), Lies::InPacks);
  EXPECT_EQ(lies({3, 5, 8}, {3, 1, 8}), Lies::InPacks);
  EXPECT_EQ(lies({5, 8}, {8}, true, false), Lies::Anyhow);
  EXPECT_EQ(lies({4, 6}, {4}), Lies::Anyhow);
  EXPECT_EQ(lies({4, 6}, {6}, true), Lies::Anyhow);
  EXPECT_EQ(lies({5, 7}, {5}), Lies::Anyhow);
}

TEST(LossPlaces, BlocksFillAGpu) {
  EXPECT_EQ(losses::loss_blocks(0, 4), 1);
  EXPECT_EQ(losses::loss_blocks(2048, 4), 1);
  EXPECT_EQ(losses::loss_blocks(2049, 4), 2);
  EXPECT_EQ(losses::loss_blocks(int64_t{1} << 30, 4), 528);
}

class LossesCuda : public GpuTest {};

TEST_F(LossesCuda, OneLaunchForwardAndOneBackward) {
  const Tensor target = Tensor::zeros({40, 256}, float32, cuda);
  const Tensor steps = Tensor::zeros({40}, float32, cuda);
  const Tensor mask = Tensor::ones({40}, uint8, cuda);
  const Tensor labels = Tensor::zeros({40}, int64, cuda);
  const std::vector<std::function<Tensor(const Operand&)>> losses = {
      [&](const Operand& x) { return mse_loss(x, target); },
      [&](const Operand& x) { return huber_loss(x, target, {}, mask); },
      [&](const Operand& x) { return l1_loss(x, target, Reduction::None); },
      [&](const Operand& x) { return bce_with_logits_loss(x, target); },
      [&](const Operand& x) { return gaussian_nll_loss(x, target, Tensor(steps) + 1); },
      [&](const Operand& x) { return nll_loss(x, labels); },
  };
  for (size_t i = 0; i < losses.size(); ++i) {
    SCOPED_TRACE(i);
    Tensor x = Tensor::full({40, 256}, 0.5, float32, cuda);
    Tape tape;
    tape.watch(x);
    const uint64_t before = gpu::launches;
    const Tensor y = losses[i](x);
    EXPECT_EQ(gpu::launches - before, i == 4 ? 3U : 1U);  // the variance takes two
    const Tensor seed = Tensor::ones(y.shape(), float32, cuda);
    const uint64_t between = gpu::launches;
    tape.backward(y, seed);
    EXPECT_EQ(gpu::launches - between, 2U);  // and the seed's copy
  }
}

// A loss at the end of the graph has made its gradient in the forward pass.
TEST_F(LossesCuda, TheEndOfAGraphNeedsNoLaunch) {
  using Loss = std::function<Tensor(const Tensor& x, const Tensor& target)>;
  const Tensor mask = tensor(std::vector<uint8_t>(150, 1), {5, 30}).to(cuda);
  const Loss all[] = {
      [](const Tensor& x, const Tensor& target) { return mse_loss(x, target); },
      [](const Tensor& x, const Tensor& target) {
        return l1_loss(x, target, {.reduction = Reduction::Sum});
      },
      [&](const Tensor& x, const Tensor& target) {
        return huber_loss(x, target, {.reduction = Reduction::Sum}, mask);
      },
  };
  for (const Loss& loss : all) {
    SCOPED_TRACE(&loss - all);
    Tensor x = randn({5, 30}).to(cuda);
    const Tensor target = randn({5, 30}).to(cuda);
    Tape tape;
    tape.watch(x);
    const Tensor y = loss(x, target);
    const Tensor once_more = mul(y, 1.0);
    const uint64_t before = gpu::launches;
    tape.backward(y, {.keep = true});
    EXPECT_EQ(gpu::launches - before, 1U) << "the copy that the tape is given, as records are kept";
    const auto gradient = tape.gradient(x).to(cpu).to_vector<float>();
    tape.backward(y, {.keep = true});
    EXPECT_EQ(tape.gradient(x).to(cpu).to_vector<float>(), gradient);
    tape.backward(once_more, {.keep = true});
    EXPECT_EQ(tape.gradient(x).to(cpu).to_vector<float>(), gradient) << "by a seed";
    tape.backward(mul(y, 2.0));
    std::vector<float> twice = gradient;
    for (float& value : twice) {
      value *= 2;
    }
    EXPECT_EQ(tape.gradient(x).to(cpu).to_vector<float>(), twice);
  }
}

TEST_F(LossesCuda, VariancesBelow0AreReported) {
  const Tensor x = Tensor::zeros({3}, float32, cuda);
  for (const Reduction reduction : {Reduction::Mean, Reduction::None}) {
    const Tensor var = tensor<float>({1, -0.25F, 2}, {3}, cuda);
    gaussian_nll_loss(x, x, var, {.reduction = reduction});
    expect_throws<ValueError>([] { gpu::synchronize(); },
                              {"[gaussian_nll_loss] var: got an element below 0"});
  }
}

TEST_F(LossesCuda, LabelsThatAreNoClassAreReported) {
  const Tensor x = Tensor::zeros({3, 4}, float32, cuda);
  const Tensor labels = tensor<int64_t>({0, 1, 4}, {3}, cuda);
  nll_loss(x, labels);
  expect_throws<ValueError>([] { gpu::synchronize(); },
                            {"[nll_loss] label 2: got 4, wanted 0 to 3 or ignore_index -100"});
}

}  // namespace
}  // namespace warptape
