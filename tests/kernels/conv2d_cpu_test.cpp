// Convolution on the CPU: which threads run the loops.

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "core/parallel.h"
#include "core/tape.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/sum/sum.h"

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

}  // namespace
}  // namespace warptape
