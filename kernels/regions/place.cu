// A box of one tensor's elements in a tensor that has one value elsewhere. Threads are neighbours
// in the target, which is written once and in whole lines; each takes one pack.

#include <limits>

#include "core/device/launch.h"
#include "core/element_types.h"
#include "core/simt/packs.cuh"
#include "kernels/regions/place_cuda.h"

namespace warptape::on_cuda {
namespace {

// Index: of packs; divisions of 32 bits take a third of the time of those of 64.
template <int E, class Index, class T>
__global__ void __launch_bounds__(elementwise::block_threads)
    place_kernel(const PlacePlan __grid_constant__ plan, const T* from, T value, T* to) {
  const int64_t own = int64_t{blockIdx.x} * elementwise::block_threads + threadIdx.x;
  if (own >= plan.packs) {
    return;
  }
  auto rest = static_cast<Index>(own);
  bool inside = true;
  int64_t at = 0;
  for (int d = plan.rank - 1; d >= 0; --d) {
    const auto extent = static_cast<Index>(plan.extent[d]);
    const Index index = d == 0 ? rest : rest % extent;
    rest = d == 0 ? 0 : rest / extent;
    const int64_t behind = static_cast<int64_t>(index) - plan.begin[d];
    const int64_t number = plan.step[d] == 1 ? behind : behind / plan.step[d];
    inside = inside && behind >= 0 && number < plan.count[d] && number * plan.step[d] == behind;
    at += number * plan.stride[d];
  }
  simt::store_pack<E>(to + own * E,
                      inside ? simt::load_pack<E>(from + at) : simt::repeat_pack<E>(value));
}

template <int E, class Index, class T>
void launch_place(gpu::StreamHandle stream, const PlacePlan& plan, const T* from, T value, T* to) {
  const int64_t blocks = (plan.packs + elementwise::block_threads - 1) / elementwise::block_threads;
  launch(place_kernel<E, Index, T>,
         {.grid = dim3(static_cast<unsigned>(blocks)),
          .block = dim3(elementwise::block_threads),
          .stream = stream,
          .name = "place"},
         plan, from, value, to);
}

}  // namespace

template <class T>
void place(gpu::StreamHandle stream, const PlacePlan& plan, const T* from, T value, T* to) {
  constexpr int E = simt::pack_size<T>;
  const bool narrow = plan.packs <= std::numeric_limits<uint32_t>::max();
  if (plan.pack == E) {
    narrow ? launch_place<E, uint32_t>(stream, plan, from, value, to)
           : launch_place<E, int64_t>(stream, plan, from, value, to);
  } else {
    narrow ? launch_place<1, uint32_t>(stream, plan, from, value, to)
           : launch_place<1, int64_t>(stream, plan, from, value, to);
  }
}

#define WARPTAPE_INSTANTIATE(dtype, T, name) \
  template void place(gpu::StreamHandle, const PlacePlan&, const T*, T, T*);
WARPTAPE_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
