// A training step on a stream of its own, when the same has run on the default stream: what kept a
// stream from the first time queues where nothing orders it. The emulated device refuses that.

#include <gtest/gtest.h>

#include "core/random.h"
#include "core/simt/build.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/conv2d.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/max_pool2d.h"
#include "layers/sequential.h"
#include "layers/weight_norm.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/perceptron.h"
#include "training/optimizers.h"
#ifdef WARPTAPE_SIMT
#include "emulator/device/emulated.h"
#endif

namespace warptape {
namespace {

class GpuStreamScope : public GpuTest {
 protected:
#ifdef WARPTAPE_SIMT
  void SetUp() override {
    gpu::emulated::set_order(gpu::emulated::Order::Late);
  }
  void TearDown() override {
    gpu::emulated::set_order(order_);
  }

 private:
  const gpu::emulated::Order order_ = gpu::emulated::order();
#endif
};

// A little of everything: grouped, depthwise and plain convolutions with weight norm, pooling,
// dropout, products, reductions, softmax and losses.
Tensor loss_of(Module& convolutions, Parameter& head, const Tensor& images, const Tensor& labels) {
  const Tensor means = global_avg_pool2d(avg_pool2d(convolutions(images), {.kernel_size = 2}));
  const Tensor hidden = perceptron(flatten(means, 1), head, Tensor(), head, Tensor());
  const Tensor logits = matmul(hidden, head, {.transpose_b = true});
  const Tensor shares = softmax(logits, 1);
  const Tensor entropy = sum(mul(shares, log_softmax(logits, 1)));
  const Tensor largest = max(transpose(relu(logits), 0, 1), {1});
  const Tensor ratio = div(largest, log(sum(exp(logits), {0})));
  return add(add(cross_entropy(logits, labels), entropy), mse_loss(ratio, sub(largest, ratio)));
}

struct Result {
  double loss, norm, next_loss, first;
};

Result train() {
  manual_seed(5);
  Sequential convolutions(
      Conv2d({.in_channels = 2, .out_channels = 4, .kernel_size = 3, .padding = 1}),
      Conv2d({.in_channels = 4, .out_channels = 4, .kernel_size = 3, .padding = 1, .groups = 4}),
      MaxPool2d({.kernel_size = 2}), Dropout(0.25),
      Conv2d({.in_channels = 4, .out_channels = 6, .kernel_size = 1, .groups = 2}));
  weight_norm(static_cast<Conv2d&>(convolutions[0]));
  Parameter head(randn({6, 6}));
  convolutions.to(cuda);
  head.state()->value = head.value().to(cuda);
  ParameterStates states = parameters(convolutions);
  states.push_back(head.state());
  AdamW optimizer(states, {.lr = 0.01});
  const Tensor images = randn({6, 2, 8, 8}).to(cuda);
  const Tensor labels = tensor<int64_t>({0, 1, 2, 3, 4, 5}, {6}, cuda);
  Result result{};
  for (double* loss : {&result.loss, &result.next_loss}) {
    optimizer.zero_grad();
    Tape tape;
    const Tensor y = loss_of(convolutions, head, images, labels);
    tape.backward(y);
    const Tensor norm = queue_clip_grad_norm(states, 0.5);
    optimizer.step();
    *loss = y.item();
    result.norm = norm.item();
  }
  result.first = head.value().to_vector<float>()[0];
  result.first += static_cast<double>(argmax(head.value(), 1).to_vector<int64_t>()[3]);
  return result;
}

TEST_F(GpuStreamScope, ATrainingStepStaysOnItsStream) {
  const Result wanted = train();
  const gpu::Stream stream;
  const gpu::StreamScope scope(stream);
  const Result found = train();
  gpu::synchronize();
  EXPECT_EQ(found.loss, wanted.loss);
  EXPECT_EQ(found.norm, wanted.norm);
  EXPECT_EQ(found.next_loss, wanted.next_loss);
  EXPECT_EQ(found.first, wanted.first);
  EXPECT_NE(found.next_loss, found.loss);
}

}  // namespace
}  // namespace warptape
