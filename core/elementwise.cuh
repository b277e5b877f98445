#pragma once
// Element-by-element kernels over strided operands: out = function(in...), or out +=
// function(in...). An operand may be broadcast (stride 0) along any dimension. Every thread takes
// one pack of 16 bytes, or one element where sizes or addresses do not allow packs, at several
// places along one dimension; what an operand repeats along that dimension is loaded once.

#include <utility>

#include "core/device/launch.h"
#include "core/element_types.h"
#include "core/elementwise_places.h"
#include "core/simt/packs.cuh"

namespace warptape::elementwise {

template <int E, class T>
__device__ simt::Pack<T, E> load_or_repeat(const T* pointer, bool repeats) {
  return repeats ? simt::repeat_pack<E>(*pointer) : simt::load_pack<E>(pointer);
}

// What a function takes an element of T as: what arithmetic with it is done in, or itself where the
// function only moves it.
template <class Function, class T>
using Argument = std::conditional_t<Function::moves, T, Compute<T>>;

template <class Function, class Value, size_t... I>
__device__ auto call(const Function& function, const Value* values, std::index_sequence<I...>) {
  return function(values[I]...);
}

// Into an element, or added to what is there.
template <class Function, class Out, class Result>
__device__ void write(bool accumulate, Out& element, const Result& result) {
  if constexpr (Function::moves) {
    if (!accumulate) {
      element = result;
      return;
    }
  }
  element = written(accumulate, element, static_cast<Compute<Out>>(result));
}

// The elements that no pack covers.
template <class Function, class Out, class In, int N>
__device__ void run_end(const Places<N + 1>& places, const Function& function, bool accumulate,
                        Out* out, const Inputs<In, N>& in) {
  const int64_t i = places.range.end_element(threadIdx.x);
  Argument<Function, In> values[N];
#pragma unroll
  for (int n = 0; n < N; ++n) {
    values[n] = in.data[n][places.repeats[n + 1] ? 0 : i];
  }
  write<Function>(accumulate, out[i], call(function, values, std::make_index_sequence<N>()));
}

// Four blocks, 32 warps, are resident at least.
template <int E, class Function, class Out, class In, int N>
__global__ void __launch_bounds__(block_threads, 4)
    kernel(const Places<N + 1> __grid_constant__ places, const Function function, bool accumulate,
           Out* out, const Inputs<In, N> in) {
  // The loads of this many places precede their stores.
  constexpr int batch = N == 1 && sizeof(Out) == 4 ? 2 : 1;
  if (blockIdx.x == 0 && threadIdx.x < places.range.ends) {
    run_end(places, function, accumulate, out, in);
  }
  int64_t rest = int64_t{blockIdx.x} * block_threads + threadIdx.x;
  if (rest >= places.threads) {
    return;
  }
  int64_t first = 0;
  int64_t at[N + 1];
#pragma unroll
  for (int o = 0; o <= N; ++o) {
    at[o] = places.repeats[o] ? 0 : places.range.head;
  }
  for (int d = places.rank - 1; d >= 0; --d) {
    const int64_t index = d == 0 ? rest : rest % places.extent[d];
    rest = d == 0 ? 0 : rest / places.extent[d];
    first = d == places.walk ? index : first;
#pragma unroll
    for (int o = 0; o <= N; ++o) {
      at[o] += index * places.stride[o][d];
    }
  }
  simt::Pack<In, E> values[N][batch] = {};
#pragma unroll
  for (int n = 0; n < N; ++n) {
    if (places.step[n + 1] == 0) {
      const auto value = load_or_repeat<E>(in.data[n] + at[n + 1], places.repeats[n + 1]);
#pragma unroll
      for (int k = 0; k < batch; ++k) {
        values[n][k] = value;
      }
    }
  }
  for (int64_t index = first; index < places.walk_extent; index += batch * places.groups) {
    simt::Pack<Out, E> old[batch] = {};
#pragma unroll
    for (int k = 0; k < batch; ++k) {
      const bool active = index + k * places.groups < places.walk_extent;
#pragma unroll
      for (int n = 0; n < N; ++n) {
        if (active && places.step[n + 1] != 0) {
          values[n][k] = load_or_repeat<E>(in.data[n] + at[n + 1] + k * places.step[n + 1],
                                           places.repeats[n + 1]);
        }
      }
      if (active && accumulate) {
        old[k] = simt::load_pack<E>(out + at[0] + k * places.step[0]);
      }
    }
#pragma unroll
    for (int k = 0; k < batch; ++k) {
      if (index + k * places.groups >= places.walk_extent) {
        continue;
      }
      simt::Pack<Out, E> result;
#pragma unroll
      for (int e = 0; e < E; ++e) {
        Argument<Function, In> arguments[N];
#pragma unroll
        for (int n = 0; n < N; ++n) {
          arguments[n] = values[n][k][e];
        }
        result[e] = old[k][e];
        write<Function>(accumulate, result[e],
                        call(function, arguments, std::make_index_sequence<N>()));
      }
      simt::store_pack<E>(out + at[0] + k * places.step[0], result);
    }
#pragma unroll
    for (int o = 0; o <= N; ++o) {
      at[o] += batch * places.step[o];
    }
  }
}

template <int E, class Function, class Out, class In, int N>
void launch_places(const char* name, gpu::StreamHandle stream, const Places<N + 1>& places,
                   const Function& function, bool accumulate, Out* out, const Inputs<In, N>& in) {
  const int64_t blocks = (places.threads + block_threads - 1) / block_threads;
  launch(kernel<E, Function, Out, In, N>,
         {.grid = dim3(static_cast<unsigned>(std::max<int64_t>(blocks, 1))),
          .block = dim3(block_threads),
          .stream = stream,
          .name = name},
         places, function, accumulate, out, in);
}

// out = function(in...), or out += that, over `loop`, whose operand 0 is the output. Function has
// no pointers (NoPointers) and takes as many In as there are inputs.
template <class Function, class Out, class In, int N>
void run(const char* name, gpu::StreamHandle stream, const StridedLoop<N + 1>& loop,
         const Function& function, bool accumulate, Out* out, const Inputs<In, N>& in) {
  static_assert(sizeof(In) == sizeof(Out));
  constexpr int E = simt::pack_size<Out>;
  if (loop.numel() == 0) {
    return;
  }
  if (is_flat(loop)) {
    // Packs serve where all operands are aligned at the same elements.
    bool together = true;
    for (size_t i = 0; i < N; ++i) {
      together =
          together && (loop.stride[i + 1][0] == 0 || misalignment(in.data[i]) == misalignment(out));
    }
    if (together) {
      const FlatRange range = flat_range(out, loop.numel());
      StridedLoop<N + 1> packs = loop;
      packs.rank = 1;
      packs.extent[0] = range.packs * E;
      auto places = make_places<E>(packs);
      places.range = range;
      launch_places<E>(name, stream, places, function, accumulate, out, in);
      return;
    }
  }
  bool aligned[N + 1] = {simt::is_aligned16(out)};
  for (int i = 0; i < N; ++i) {
    aligned[i + 1] = simt::is_aligned16(in.data[i]);
  }
  if (fits_packs<E>(loop, aligned)) {
    launch_places<E>(name, stream, make_places<E>(loop), function, accumulate, out, in);
  } else {
    launch_places<1>(name, stream, make_places<1>(loop), function, accumulate, out, in);
  }
}

// The same over n contiguous elements.
template <class Function, class Out, class In, int N>
void run_flat(const char* name, gpu::StreamHandle stream, int64_t n, const Function& function,
              bool accumulate, Out* out, const Inputs<In, N>& in) {
  run(name, stream, flat_loop<N + 1>(n), function, accumulate, out, in);
}

}  // namespace warptape::elementwise
