#include "core/device/launch.h"
#include "core/gradient_marks.h"
#include "core/simt/packs.cuh"
#include "kernels/conv1d/mask_gradient_cuda.h"

namespace warptape::on_cuda {
namespace {

constexpr int block_threads = 256;

template <int E, class T>
__global__ void __launch_bounds__(block_threads)
    mask_gradient_kernel(int64_t packs, const T* dy, const uint8_t* marks, Compute<T> scale,
                         T* inner, T* outer) {
  const int64_t at = (int64_t{blockIdx.x} * block_threads + threadIdx.x) * E;
  if (at >= packs * E) {
    return;
  }
  const simt::Pack<T, E> gradient = simt::load_pack<E>(dy + at);
  const auto mark = simt::load_marks<E>(marks + at);
  simt::Pack<T, E> passed_in;
  simt::Pack<T, E> passed_out;
#pragma unroll
  for (int e = 0; e < E; ++e) {
    passed_in[e] = (mark[e] & gradient_marks::inner) != 0
                       ? static_cast<T>(static_cast<Compute<T>>(gradient[e]) * scale)
                       : T(0);
    passed_out[e] = (mark[e] & gradient_marks::outer) != 0 ? gradient[e] : T(0);
  }
  simt::store_pack<E>(inner + at, passed_in);
  if (outer != nullptr) {
    simt::store_pack<E>(outer + at, passed_out);
  }
}

}  // namespace

template <class T>
void mask_gradient(gpu::StreamHandle stream, int64_t n, const T* dy, const uint8_t* marks,
                   Compute<T> scale, T* inner, T* outer) {
  constexpr int E = simt::pack_size<T>;
  const bool packed = n % E == 0 && simt::is_aligned16(dy) && simt::is_aligned16(inner) &&
                      (outer == nullptr || simt::is_aligned16(outer)) &&
                      reinterpret_cast<uintptr_t>(marks) % E == 0;
  const int64_t packs = packed ? n / E : n;
  launch(packed ? mask_gradient_kernel<E, T> : mask_gradient_kernel<1, T>,
         {.grid = dim3(static_cast<unsigned>((packs + block_threads - 1) / block_threads)),
          .block = dim3(block_threads),
          .stream = stream,
          .name = "mask_gradient"},
         packs, dy, marks, scale, inner, outer);
}

template void mask_gradient(gpu::StreamHandle, int64_t, const float*, const uint8_t*, float, float*,
                            float*);
template void mask_gradient(gpu::StreamHandle, int64_t, const simt::bfloat16*, const uint8_t*,
                            float, simt::bfloat16*, simt::bfloat16*);

}  // namespace warptape::on_cuda
