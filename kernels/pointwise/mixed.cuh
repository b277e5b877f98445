#pragma once
// Element by element over tensors whose elements differ in size, with broadcasting: out =
// function(a, b, c), or out += that. A thread takes one pack: 16 bytes of the widest operand and as
// many elements of the others, or one element where sizes or addresses do not allow packs.

#include "core/device/launch.h"
#include "core/simt/packs.cuh"
#include "kernels/pointwise/mixed.h"

namespace warptape::mixed {

struct Nothing {};  // as C: the function takes a and b alone

// E elements, 16 bytes at most, in one access.
template <int E, class T>
__device__ simt::Pack<T, E> load(const T* pointer, bool repeats) {
  if constexpr (E == 1 || E == simt::pack_size<T>) {
    return repeats ? simt::repeat_pack<E>(*pointer) : simt::load_pack<E>(pointer);
  } else {
    return repeats ? simt::repeat_pack<E>(*pointer)
                   : *reinterpret_cast<const simt::Pack<T, E>*>(pointer);
  }
}
template <int E, class T>
__device__ void store(T* pointer, const simt::Pack<T, E>& value) {
  if constexpr (E == 1 || E == simt::pack_size<T>) {
    simt::store_pack<E>(pointer, value);
  } else {
    *reinterpret_cast<simt::Pack<T, E>*>(pointer) = value;
  }
}

// at: where the E elements of each operand begin.
template <int E, class Function, class Out, class A, class B, class C>
__device__ void run_place(const Places<4>& places, const int64_t (&at)[4], const Function& function,
                          bool accumulate, Out* out, const A* a, const B* b, const C* c) {
  const auto as = load<E>(a + at[1], places.repeats[1]);
  const auto bs = load<E>(b + at[2], places.repeats[2]);
  simt::Pack<Out, E> result;
  if constexpr (std::is_same_v<C, Nothing>) {
#pragma unroll
    for (int e = 0; e < E; ++e) {
      result[e] = function(as[e], bs[e]);
    }
  } else {
    const auto cs = load<E>(c + at[3], places.repeats[3]);
#pragma unroll
    for (int e = 0; e < E; ++e) {
      result[e] = function(as[e], bs[e], cs[e]);
    }
  }
  if (accumulate) {
    const auto old = load<E>(out + at[0], false);
#pragma unroll
    for (int e = 0; e < E; ++e) {
      result[e] = static_cast<Out>(old[e] + result[e]);
    }
  }
  store<E>(out + at[0], result);
}

template <int E, class Function, class Out, class A, class B, class C>
__global__ void __launch_bounds__(elementwise::block_threads)
    kernel(const Places<4> __grid_constant__ places, const Function function, bool accumulate,
           Out* out, const A* a, const B* b, const C* c) {
  int64_t rest = int64_t{blockIdx.x} * elementwise::block_threads + threadIdx.x;
  int64_t at[4] = {};
  if (rest >= places.packs) {
    rest += places.tail_begin - places.packs;
    if (rest < places.tail_begin + places.tail) {
#pragma unroll
      for (int o = 0; o < 4; ++o) {
        at[o] = places.repeats[o] ? 0 : rest;
      }
      run_place<1>(places, at, function, accumulate, out, a, b, c);
    }
    return;
  }
  for (int d = places.rank - 1; d >= 0; --d) {
    const int64_t index = d == 0 ? rest : rest % places.extent[d];
    rest = d == 0 ? 0 : rest / places.extent[d];
#pragma unroll
    for (int o = 0; o < 4; ++o) {
      at[o] += index * places.stride[o][d];
    }
  }
  run_place<E>(places, at, function, accumulate, out, a, b, c);
}

template <int E, class Function, class Out, class A, class B, class C>
void launch_places(const char* name, gpu::StreamHandle stream, const StridedLoop<4>& loop,
                   const Function& function, bool accumulate, Out* out, const A* a, const B* b,
                   const C* c) {
  const Places<4> places = make_places(loop, E);
  const int64_t blocks =
      (places.threads() + elementwise::block_threads - 1) / elementwise::block_threads;
  launch(kernel<E, Function, Out, A, B, C>,
         {.grid = dim3(static_cast<unsigned>(blocks)),
          .block = dim3(elementwise::block_threads),
          .stream = stream,
          .name = name},
         places, function, accumulate, out, a, b, c);
}

// Operands of the loop: out, a, b, c, of which c may be null and is then Nothing.
template <class Function, class Out, class A, class B, class C>
void run(const char* name, gpu::StreamHandle stream, const StridedLoop<4>& loop,
         const Function& function, bool accumulate, Out* out, const A* a, const B* b, const C* c) {
  if (loop.numel() == 0) {
    return;
  }
  constexpr bool has_c = !std::is_same_v<C, Nothing>;
  constexpr int E = pack_of<Out, A, B, std::conditional_t<has_c, C, A>>;
  const auto is_aligned = [](const auto* pointer) {
    return reinterpret_cast<uintptr_t>(pointer) % (E * sizeof(*pointer)) == 0;
  };
  const bool aligned[] = {is_aligned(out), is_aligned(a), is_aligned(b), !has_c || is_aligned(c)};
  if (fits_packs(loop, aligned, E)) {
    launch_places<E>(name, stream, loop, function, accumulate, out, a, b, c);
  } else {
    launch_places<1>(name, stream, loop, function, accumulate, out, a, b, c);
  }
}

}  // namespace warptape::mixed
