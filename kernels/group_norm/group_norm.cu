#include "core/device/launch.h"
#include "core/simt/reduce.cuh"
#include "kernels/group_norm/group_norm_cuda.h"
#include "kernels/normalize/sums.cuh"

namespace warptape::on_cuda {
namespace {

using normalize::AddSums;
using normalize::block_threads;
using normalize::Sums;

constexpr int warps = block_threads / 32;
constexpr int columns = 8;  // lines of 128 bytes
constexpr int rows = block_threads / columns;

// A warp owns a group of a sample.
template <class P>
__device__ void mean_of_group(const GroupSumPointers<P>& of, int64_t group) {
  if (group >= of.samples * of.groups) {
    return;
  }
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t width = of.channels / of.groups;
  const int64_t first = group % of.groups * width;
  Sums total = {};
#pragma unroll 2
  for (int64_t i = lane; i < width; i += 32) {
    const auto w = static_cast<double>(normalize::weight_at(of.weight, first + i));
    const Sums own = of.sums[group * width + i];
    total = total + Sums{w * own.first, w * own.second};
  }
  total = simt::warp_reduce(total, AddSums());
  if (lane == 0) {
    of.means[group] = {total.first / of.count, total.second / of.count};
  }
}

// A block owns some channels, whose samples its threads share.
template <class P>
__device__ void sum_of_samples(const GroupSumPointers<P>& of, int64_t first_channel) {
  WARPTAPE_SHARED(Sums, shared, [block_threads]);
  const auto thread = static_cast<int>(threadIdx.x);
  const int64_t channel = first_channel + thread % columns;
  Sums total = {};
  if (channel < of.channels) {
#pragma unroll 4
    for (int64_t n = thread / columns; n < of.samples; n += rows) {
      total = total + of.sums[n * of.channels + channel];
    }
  }
  shared[thread] = total;
  for (int half = block_threads / 2; half >= columns; half /= 2) {
    __syncthreads();
    if (thread < half) {
      shared[thread] = shared[thread] + shared[thread + half];
    }
  }
  if (thread < columns && channel < of.channels) {
    of.keep(channel, channel, 0, shared[thread]);
  }
}

template <class P>
__global__ void __launch_bounds__(block_threads)
    group_norm_sums_kernel(const GroupSumPointers<P> of, int64_t blocks_of_groups) {
  if (blockIdx.x < blocks_of_groups) {
    mean_of_group(of, int64_t{blockIdx.x} * warps + threadIdx.x / 32);
  } else {
    sum_of_samples(of, (blockIdx.x - blocks_of_groups) * columns);
  }
}

}  // namespace

template <class P>
void group_norm_sums(gpu::StreamHandle stream, const GroupSumPointers<P>& of) {
  const int64_t groups = of.means == nullptr ? 0 : of.samples * of.groups;
  const int64_t blocks_of_groups = normalize::detail::divide_up(groups, warps);
  const bool of_parameters = of.keep.of_weight != nullptr || of.keep.of_bias != nullptr;
  const int64_t others = of_parameters ? normalize::detail::divide_up(of.channels, columns) : 0;
  launch(&group_norm_sums_kernel<P>,
         {.grid = dim3(static_cast<unsigned>(blocks_of_groups + others)),
          .block = dim3(block_threads),
          .stream = stream,
          .name = "group_norm_sums"},
         of, blocks_of_groups);
}

template void group_norm_sums(gpu::StreamHandle, const GroupSumPointers<float>&);
template void group_norm_sums(gpu::StreamHandle, const GroupSumPointers<double>&);

}  // namespace warptape::on_cuda
