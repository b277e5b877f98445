#include "tools/ceilings.h"

#include <algorithm>
#include <chrono>

#include "core/device/on_device.h"
#include "core/primitives.h"
#include "kernels/ceilings/ceilings.h"

namespace warptape::tools {
namespace {

// The shortest of some runs, in seconds.
template <class Run>
double least_seconds(const Run& run) {
  constexpr int runs = 5;
  run();
  double least = 0;
  for (int i = 0; i < runs; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    least = i == 0 ? time.count() : std::min(least, time.count());
  }
  return least;
}

profiling::Ceilings on_cpu(bool is_bfloat16) {
  profiling::Ceilings ceilings;
  constexpr int64_t bytes = int64_t{64} << 20;
  const Tensor from = Tensor::zeros({bytes}, uint8);
  Tensor to = Tensor::zeros({bytes}, uint8);
  const double copy = least_seconds([&] { primitives::copy(from, to); });
  ceilings.copy_gb_per_s = 2.0 * static_cast<double>(bytes) / copy / 1e9;
  if (!is_bfloat16) {  // whose products go by instructions of their own
    int64_t flops = 0;
    constexpr int64_t rounds = 400000;
    const double time = least_seconds([&] { flops = ceilings::multiply_add_cpu(rounds); });
    ceilings.fma_tflop_per_s = static_cast<double>(flops) / time / 1e12;
  }
  return ceilings;
}

}  // namespace

profiling::Ceilings measure_ceilings(Device device, bool is_bfloat16) {
  profiling::Ceilings ceilings;
  on_device(
      "profile", device, [&] { ceilings = on_cpu(is_bfloat16); },
      [&] { ceilings = measure_ceilings_cuda(is_bfloat16); });
  return ceilings;
}

}  // namespace warptape::tools
