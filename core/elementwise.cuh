#pragma once
// Element-by-element kernels over strided operands: out = function(in...), or out +=
// function(in...). An operand may be broadcast (stride 0) along any dimension. Every thread takes
// one pack of 16 bytes, or one element where sizes or addresses do not allow packs, at several
// places along one dimension; what an operand repeats along that dimension is loaded once.

#include <algorithm>
#include <utility>

#include "core/device/launch.h"
#include "core/strided_loop.h"

namespace warptape::elementwise {

inline constexpr unsigned block_threads = 256;

// For functions without pointers, which are kernel arguments.
struct NoPointers {
  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

template <class In, int N>
struct Inputs {
  const In* data[N];

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    for (const In* pointer : data) {
      visit(pointer);
    }
  }
};

// The places of the threads, counted in packs; operand 0 is the output. Dimension `walk` is divided
// into `groups`: a thread starts in one and goes on in steps of as many packs.
template <int Operands>
struct Places : NoPointers {
  int rank = 0;
  int walk = 0;
  int64_t threads = 0;
  int64_t groups = 0;
  int64_t walk_extent = 0;
  int64_t extent[max_rank] = {};            // `groups` in dimension `walk`
  int64_t stride[Operands][max_rank] = {};  // elements
  int64_t step[Operands] = {};              // elements from one place of a thread to the next
  bool repeats[Operands] = {};              // one element fills a pack
  // Elements before and behind the packs of a flat range, one per thread of the first block.
  int64_t head = 0;
  int64_t ends = 0;
  int64_t tail_begin = 0;
};

template <int E, class T>
__device__ simt::Pack<T, E> load(const T* pointer, bool repeats) {
  if constexpr (E > 1) {
    if (!repeats) {
      return simt::load16(pointer);
    }
  }
  const T value = *pointer;
  simt::Pack<T, E> result;
#pragma unroll
  for (int e = 0; e < E; ++e) {
    result[e] = value;
  }
  return result;
}

template <int E, class T>
__device__ void store(T* pointer, const simt::Pack<T, E>& value) {
  if constexpr (E > 1) {
    simt::store16(pointer, value);
  } else {
    *pointer = value[0];
  }
}

template <class Out, class Function, class In, size_t... I>
__device__ Out call(const Function& function, const In* values, std::index_sequence<I...>) {
  return function(values[I]...);
}

// The elements that no pack covers.
template <class Function, class Out, class In, int N>
__device__ void run_end(const Places<N + 1>& places, const Function& function, bool accumulate,
                        Out* out, const Inputs<In, N>& in) {
  const int64_t i =
      threadIdx.x < places.head ? threadIdx.x : places.tail_begin + threadIdx.x - places.head;
  In values[N];
#pragma unroll
  for (int n = 0; n < N; ++n) {
    values[n] = in.data[n][places.repeats[n + 1] ? 0 : i];
  }
  const Out result = call<Out>(function, values, std::make_index_sequence<N>());
  out[i] = accumulate ? static_cast<Out>(out[i] + result) : result;
}

template <int E, class Function, class Out, class In, int N>
__global__ void __launch_bounds__(block_threads)
    kernel(const __grid_constant__ Places<N + 1> places, const Function function, bool accumulate,
           Out* out, const Inputs<In, N> in) {
  constexpr int batch = N == 1 ? 4 : 2;  // loads of this many places precede their stores
  if (blockIdx.x == 0 && threadIdx.x < places.ends) {
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
    at[o] = places.repeats[o] ? 0 : places.head;
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
  simt::Pack<In, E> values[N][batch];
  for (int64_t index = first; index < places.walk_extent; index += batch * places.groups) {
    simt::Pack<Out, E> old[batch];
#pragma unroll
    for (int k = 0; k < batch; ++k) {
      const bool active = index + k * places.groups < places.walk_extent;
#pragma unroll
      for (int n = 0; n < N; ++n) {
        if (active && (places.step[n + 1] != 0 || index == first)) {
          values[n][k] =
              load<E>(in.data[n] + at[n + 1] + k * places.step[n + 1], places.repeats[n + 1]);
        }
      }
      if (active && accumulate) {
        old[k] = load<E>(out + at[0] + k * places.step[0], false);
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
        In arguments[N];
#pragma unroll
        for (int n = 0; n < N; ++n) {
          arguments[n] = values[n][k][e];
        }
        result[e] = call<Out>(function, arguments, std::make_index_sequence<N>());
        if (accumulate) {
          result[e] = static_cast<Out>(old[k][e] + result[e]);
        }
      }
      store<E>(out + at[0] + k * places.step[0], result);
    }
#pragma unroll
    for (int o = 0; o <= N; ++o) {
      at[o] += batch * places.step[o];
    }
  }
}

// ---- The host's part: geometry, from shapes and addresses alone.

template <int E, int Operands>
Places<Operands> make_places(const StridedLoop<Operands>& loop) {
  Places<Operands> places;
  places.rank = std::max(loop.rank, 1);
  const int inner = places.rank - 1;
  bool some_input_repeats = false;
  for (int d = 0; d < places.rank; ++d) {
    const auto i = static_cast<size_t>(d);
    const int64_t extent = loop.rank == 0 ? 1 : loop.extent[i];
    places.extent[d] = d == inner ? extent / E : extent;
    for (size_t o = 0; o < Operands; ++o) {
      places.stride[o][d] = d == inner ? loop.stride[o][i] * E : loop.stride[o][i];
      if (d == inner) {
        places.repeats[o] = loop.stride[o][i] == 0;
        some_input_repeats = some_input_repeats || (o > 0 && places.repeats[o]);
      }
    }
  }
  // Along the inner dimension, or along the one around it if that is where an operand repeats.
  places.walk = some_input_repeats || places.rank == 1 ? inner : inner - 1;
  places.walk_extent = places.extent[places.walk];
  bool some_step_is_zero = false;
  for (int o = 1; o < Operands; ++o) {
    some_step_is_zero = some_step_is_zero || places.stride[o][places.walk] == 0;
  }
  // What is loaded once must be little against the rest; lines of 128 bytes stay together.
  const int64_t per_thread = some_step_is_zero ? 16 : 4;
  const int64_t neighbours = places.walk == inner ? std::min<int64_t>(places.walk_extent, 8) : 1;
  places.groups = std::max((places.walk_extent + per_thread - 1) / per_thread, neighbours);
  places.extent[places.walk] = places.groups;
  places.threads = 1;
  for (int d = 0; d < places.rank; ++d) {
    places.threads *= places.extent[d];
  }
  for (int o = 0; o < Operands; ++o) {
    places.step[o] = places.groups * places.stride[o][places.walk];
  }
  return places;
}

// Whether packs of E elements are contiguous, whole and aligned for every operand that has them.
template <int E, int Operands>
bool fits_packs(const StridedLoop<Operands>& loop, const bool (&aligned)[Operands]) {
  const auto inner = static_cast<size_t>(loop.rank - 1);
  if (loop.rank == 0 || loop.extent[inner] % E != 0 || loop.stride[0][inner] != 1) {
    return false;
  }
  for (size_t o = 0; o < Operands; ++o) {
    if (loop.stride[o][inner] == 0) {
      continue;
    }
    bool fits = loop.stride[o][inner] == 1 && aligned[o];
    for (size_t d = 0; d < inner; ++d) {
      fits = fits && loop.stride[o][d] % E == 0;
    }
    if (!fits) {
      return false;
    }
  }
  return true;
}

// Every operand is contiguous or one element.
template <int Operands>
bool is_flat(const StridedLoop<Operands>& loop) {
  if (loop.rank > 1 || (loop.rank == 1 && loop.stride[0][0] != 1)) {
    return false;
  }
  return std::all_of(loop.stride.begin(), loop.stride.end(),
                     [](const Strides& stride) { return stride[0] == 0 || stride[0] == 1; });
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
    // Packs begin where the output is aligned, if the inputs are aligned there too.
    const auto misalignment = [](const void* pointer) {
      return reinterpret_cast<uintptr_t>(pointer) % 16;
    };
    const int64_t n = loop.numel();
    bool together = true;
    for (size_t i = 0; i < N; ++i) {
      together =
          together && (loop.stride[i + 1][0] == 0 || misalignment(in.data[i]) == misalignment(out));
    }
    if (together) {
      const auto before = static_cast<int64_t>((16 - misalignment(out)) % 16 / sizeof(Out));
      const int64_t head = std::min(n, before);
      StridedLoop<N + 1> packs = loop;
      packs.rank = 1;
      packs.extent[0] = (n - head) / E * E;
      auto places = make_places<E>(packs);
      places.head = head;
      places.ends = n - packs.extent[0];
      places.tail_begin = head + packs.extent[0];
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
  StridedLoop<N + 1> loop;
  loop.rank = 1;
  loop.extent[0] = n;
  for (Strides& stride : loop.stride) {
    stride[0] = 1;
  }
  run(name, stream, loop, function, accumulate, out, in);
}

}  // namespace warptape::elementwise
