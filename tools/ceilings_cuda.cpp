#include <algorithm>

#include "core/device/gpu.h"
#include "kernels/ceilings/ceilings.h"
#include "tools/ceilings.h"
#include "tools/kernel_timer.h"

namespace warptape::tools {

profiling::Ceilings measure_ceilings_cuda(bool is_bfloat16) {
  const gpu::Properties properties = gpu::properties();
  const bool is_quick = gpu::is_emulated();
  const int64_t bytes = is_quick ? 1 << 16
                                 : std::max<int64_t>(int64_t{256} << 20,
                                                     4 * static_cast<int64_t>(properties.l2_bytes));
  KernelTimer timer(is_quick ? 1 : 9, bytes);
  profiling::Ceilings ceilings;
  const Tensor from = Tensor::zeros({bytes}, uint8, cuda);
  Tensor to = Tensor::zeros({bytes}, uint8, cuda);
  const KernelTimes copy = timer.time([&] {
    gpu::copy(to.mutable_data<uint8_t>(), from.data<uint8_t>(), static_cast<size_t>(bytes),
              gpu::current_stream());
  });
  ceilings.copy_gb_per_s = 2.0 * static_cast<double>(bytes) / (copy.cold.median_ms * 1e-3) / 1e9;
  const int64_t blocks = is_quick ? 1 : int64_t{8} * properties.multiprocessors;
  const int64_t rounds = is_quick ? 4 : 4096;
  Tensor sums = Tensor::empty({blocks * on_cuda::ceiling_threads}, float32, cuda);
  int64_t flops = 0;
  const KernelTimes products = timer.time([&] {
    const auto run = is_bfloat16 ? on_cuda::multiply_add_bfloat16 : on_cuda::multiply_add;
    flops = run(gpu::current_stream(), blocks, rounds, sums.mutable_data<float>());
  });
  ceilings.fma_tflop_per_s = static_cast<double>(flops) / (products.hot.median_ms * 1e-3) / 1e12;
  return ceilings;
}

}  // namespace warptape::tools
