// Convolution on the CPU: which threads run the loops, and what oneDNN takes.

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "core/parallel.h"
#include "core/tape.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_kernels.h"
#include "kernels/sum/sum.h"
#include "kernels/vendor/onednn.h"

namespace warptape {
namespace {

int64_t threads_of_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return std::distance(begin(tasks), end(tasks));
}

void run_both_ways(int64_t batch, int64_t channels, int64_t size) {
  Tape tape;
  Tensor x = Tensor::full({batch, channels, size, size}, 1, float64);
  Tensor weight = Tensor::full({channels, channels, 3, 3}, 1, float64);
  Tensor bias = Tensor::full({channels}, 1, float64);
  for (Tensor* tensor : {&x, &weight, &bias}) {
    tape.watch(*tensor);
  }
  tape.backward(sum(conv2d(x, weight, bias)));
}

// OpenMP starts a thread's helpers when they are first needed.
TEST(Conv2dCpu, SmallOnesWakeNoOtherThreads) {
  std::thread([] {
    set_num_threads(4);
    const int64_t before = threads_of_process();
    run_both_ways(3, 4, 6);
    EXPECT_EQ(threads_of_process(), before);
#ifdef _OPENMP
    run_both_ways(4, 16, 12);
    EXPECT_EQ(threads_of_process(), before + 3) << "a large one is shared";
#endif
  }).join();
}

bool onednn_takes(const Conv2dOptions& options) {
  const Shape filters{16, 16, 3, 3};
  const ConvGeometry g = conv_geometry("conv2d", Shape{2, 16, 8, 8}, filters, options.axes(), 1);
  const auto image = [](const Shape& shape) {
    return Tensor::zeros(shape).to(MemoryFormat::ChannelsLast);
  };
  Tensor x = image(g.x_shape());
  Tensor y = image(g.y_shape());
  Tensor weight = Tensor::zeros(filters);
  return conv2d_forward_onednn(x, weight, Tensor(), g, y) &&
         conv2d_data_grad_onednn(y, weight, g, x) && conv2d_weight_grad_onednn(y, x, g, weight);
}

// It is told both sides: where they differ, the loops, which are far slower, need not serve.
TEST(Conv2dCpu, OnednnTakesPaddingPerSide) {
  if (!onednn_is_used() || !onednn_takes({.padding = 1})) {
    GTEST_SKIP() << "no oneDNN, or no fast implementation on this processor";
  }
  EXPECT_TRUE(onednn_takes({.padding = Sides2d{.top = 2, .left = 2}}));
  EXPECT_TRUE(onednn_takes({.padding = Sides2d{.bottom = 2, .right = 1}}));
  EXPECT_TRUE(onednn_takes({.padding = Padding2d::same()}));
}

}  // namespace
}  // namespace warptape
