#include "kernels/slice/place_masked.h"

#include "core/device/launch.h"
#include "core/gradient_marks.h"
#include "core/simt/packs.cuh"

namespace warptape::on_cuda {
namespace {

constexpr int block_threads = 256;

// A thread has a pack of E elements, all of one index of the sliced dimension.
template <int E, class T>
__global__ void __launch_bounds__(block_threads)
    place_masked_kernel(const PlacedSlice slice, const PlacedGradients<T> gradients) {
  const int64_t pack = int64_t{blockIdx.x} * block_threads + threadIdx.x;
  const int64_t packs = slice.inner / E;
  if (pack >= slice.outer * slice.size * packs) {
    return;
  }
  const int64_t at = pack * E;
  const int64_t line = pack / packs;
  const int64_t from_begin = line % slice.size - slice.begin;
  const int64_t index = from_begin / slice.step;
  const bool is_in = from_begin >= 0 && from_begin % slice.step == 0 && index < slice.count;
  simt::Pack<T, E> values = {};
  if (is_in) {
    const int64_t own = (line / slice.size * slice.count + index) * slice.inner + pack % packs * E;
    values = simt::load_pack<E>(gradients.dy + own);
  }
  if (gradients.part != nullptr) {
    const simt::Pack<T, E> part = simt::load_pack<E>(gradients.part + at);
#pragma unroll
    for (int e = 0; e < E; ++e) {
      values[e] =
          static_cast<T>(static_cast<Compute<T>>(part[e]) + static_cast<Compute<T>>(values[e]));
    }
  }
  simt::Pack<T, E> inner = {};
  simt::Pack<T, E> outer = {};
  if (is_in || gradients.part != nullptr) {
    const auto marks = simt::load_marks<E>(gradients.marks + at);
#pragma unroll
    for (int e = 0; e < E; ++e) {
      inner[e] = (marks[e] & gradient_marks::inner) != 0
                     ? static_cast<T>(static_cast<Compute<T>>(values[e]) * gradients.scale)
                     : T(0);
      outer[e] = (marks[e] & gradient_marks::outer) != 0 ? values[e] : T(0);
    }
  }
  simt::store_pack<E>(gradients.inner + at, inner);
  if (gradients.outer != nullptr) {
    simt::store_pack<E>(gradients.outer + at, outer);
  }
}

}  // namespace

template <class T>
void place_masked(gpu::StreamHandle stream, const PlacedSlice& slice,
                  const PlacedGradients<T>& gradients) {
  constexpr int E = simt::pack_size<T>;
  const auto is_aligned = [](const T* pointer) {
    return pointer == nullptr || simt::is_aligned16(pointer);
  };
  const bool packed = slice.inner % E == 0 && is_aligned(gradients.dy) &&
                      is_aligned(gradients.part) && is_aligned(gradients.inner) &&
                      is_aligned(gradients.outer) &&
                      reinterpret_cast<uintptr_t>(gradients.marks) % E == 0;
  const int64_t threads = slice.outer * slice.size * slice.inner / (packed ? E : 1);
  launch(packed ? place_masked_kernel<E, T> : place_masked_kernel<1, T>,
         {.grid = dim3(static_cast<unsigned>((threads + block_threads - 1) / block_threads)),
          .block = dim3(block_threads),
          .stream = stream,
          .name = "place_masked"},
         slice, gradients);
}

template void place_masked(gpu::StreamHandle, const PlacedSlice&, const PlacedGradients<float>&);
template void place_masked(gpu::StreamHandle, const PlacedSlice&,
                           const PlacedGradients<simt::bfloat16>&);

}  // namespace warptape::on_cuda
