// Steps by role on "cuda": what the update of v writes is the weight, though g has a group of its
// own.

#include <gtest/gtest.h>

#include "core/device/gpu.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/conv2d.h"
#include "layers/weight_norm.h"
#include "tests/core/device/gpu_test.h"
#include "training/optimizers.h"
#include "training/role_groups.h"

namespace warptape {
namespace {

class RoleGroupsCuda : public GpuTest {};

std::vector<float> computed_anew(WeightNorm& norm) {
  return weight_norm(norm.v().value().detach(), norm.g().value().detach()).to_vector<float>();
}

void train_once(Conv2d& layer, Optimizer& optimizer) {
  optimizer.zero_grad();
  Tape tape;
  const Tensor y = layer(randn({2, 3, 6, 6}).to(cuda));
  tape.backward(sum(mul(y, y)));
  optimizer.step();
}

TEST_F(RoleGroupsCuda, AStepWritesTheWeightOfTheNewG) {
  manual_seed(2);
  Conv2d layer({.in_channels = 3, .out_channels = 5, .kernel_size = 3});
  weight_norm(layer);
  layer.to(cuda);
  auto& norm = dynamic_cast<WeightNorm&>(*layer.weight.reparametrization());
  SGD optimizer(groups_by_role<SGD::Group>(layer), {.lr = 1e-3, .weight_decay = 0.1});
  ASSERT_EQ(optimizer.num_groups(), 2U);
  train_once(layer, optimizer);
  for (int step = 0; step < 2; ++step) {
    const std::vector<float> before = computed_anew(norm);
    train_once(layer, optimizer);
    const uint64_t launches = gpu::launches;
    const Tensor kept = layer.weight.value();
    EXPECT_EQ(gpu::launches, launches) << "it was fresh";
    EXPECT_EQ(kept.to_vector<float>(), computed_anew(norm));
    EXPECT_NE(kept.to_vector<float>(), before);
  }
}

TEST_F(RoleGroupsCuda, AStepTakesALaunchPerGroup) {
  Conv2d layer({.in_channels = 3, .out_channels = 5, .kernel_size = 3});
  weight_norm(layer);
  layer.to(cuda);
  for (const auto& [decay, wanted] : {std::pair(0.0, 1U), std::pair(0.1, 2U)}) {
    const auto optimizer = make_optimizer_by_role({"sgd", {{"weight_decay", decay}}}, layer);
    train_once(layer, *optimizer);
    const uint64_t before = gpu::launches;
    optimizer->step();
    EXPECT_EQ(gpu::launches - before, wanted);
  }
}

}  // namespace
}  // namespace warptape
