#pragma once
// Reductions over strided operands. An Op has
//   using Accumulator
//   static Accumulator identity()
//   static Accumulator combine(Accumulator a, Accumulator b)    commutative
//   static Accumulator value(Compute<In>...)                    of the inputs' elements at one
//   place, or value_at(int64_t place, In...): places are counted in the memory order of the reduced
//   dimensions. It may have
//   static void append(Accumulator&, int64_t place, In...)      the same as combining with
//   value_at, where that is dearer; a thread's places come in ascending order
//   using Combines = ...                                        an Op of the same accumulator,
//   identity and combine: sums of partial results are that one's kernels
// and a Store, a struct that is a kernel argument, is called with (offset in the output, result).
// All orders are fixed, so that results have the same bits every time.

#include "core/elementwise.cuh"
#include "core/simt/reduce.cuh"
#include "kernels/reduce/reduce_plan.h"
#include "kernels/rows/rows.cuh"

namespace warptape::reduce {

using elementwise::Inputs;
using reduce_detail::block_threads;

template <class Op>
struct Combine {
  using Accumulator = typename Op::Accumulator;
  WARPTAPE_HOST_DEVICE Accumulator operator()(Accumulator a, Accumulator b) const {
    return Op::combine(a, b);
  }
};

// Results go to the store, or to the partial results where a second launch follows.
template <class Accumulator, class Store>
struct Destination {
  Accumulator* partials;  // nullptr: none
  Store store;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    if (partials != nullptr) {
      visit(partials);
    } else {
      store.for_each_pointer(visit);
    }
  }
};

// Adds to `at`, per operand, the offset of place `index` of a loop.
template <int Operands>
__device__ void add_offsets(int64_t (&at)[Operands], int64_t index, int rank,
                            const int64_t (&extent)[max_rank],
                            const int64_t (&stride)[Operands][max_rank]) {
  for (int d = rank - 1; d >= 0; --d) {
    const int64_t i = d == 0 ? index : index % extent[d];
    index = d == 0 ? 0 : index / extent[d];
#pragma unroll
    for (int o = 0; o < Operands; ++o) {
      at[o] += i * stride[o][d];
    }
  }
}

template <int N>
__device__ int64_t output_offset(const ReduceLayout<N>& layout, int64_t output) {
  int64_t at[1] = {};
  add_offsets(at, output, layout.kept_rank, layout.kept_extent, layout.output_stride);
  return at[0];
}

template <class Op, class In, size_t... I>
__device__ typename Op::Accumulator value_of([[maybe_unused]] int64_t place, const In* values,
                                             std::index_sequence<I...>) {
  if constexpr (requires { Op::value_at(place, values[I]...); }) {
    return Op::value_at(place, values[I]...);
  } else {
    return Op::value(values[I]...);
  }
}

template <class Op, int N, class In, size_t... I>
__device__ void append(typename Op::Accumulator& own, int64_t place, const In (&values)[N],
                       std::index_sequence<I...> indices) {
  if constexpr (requires { Op::append(own, place, values[I]...); }) {
    Op::append(own, place, values[I]...);
  } else {
    own = Op::combine(own, value_of<Op>(place, values, indices));
  }
}

// Loads of a thread that precede their use: 64 bytes, to cover their latency, but not more than
// `most` of them. Of several inputs 16 bytes, for want of registers.
template <int E, class In, int N>
constexpr int batch_of(int most) {
  const int fitting = (N == 1 ? 64 : 16) / (E * N * static_cast<int>(sizeof(In)));
  return fitting < 1 ? 1 : fitting < most ? fitting : most;
}

// Combines places first, first + step, ... of this block's chunk of the reduction, `Batch` at a
// time. `at`: where the inputs begin. Every element of a pack has an accumulator of its own, or all
// share one. offset(index, from) adds to `from` what leads to a place.
template <class Op, int E, int Batch, class In, int N, int Accumulators, class Offset>
__device__ void accumulate_batches(const ReduceLayout<N>& layout, const Inputs<In, N>& in,
                                   const int64_t (&at)[N], int first, int step,
                                   typename Op::Accumulator (&acc)[Accumulators],
                                   const Offset& offset) {
  const int64_t begin = blockIdx.y * layout.chunk_length;
  const int64_t rest = layout.length - begin;
  const int count = static_cast<int>(rest < layout.chunk_length ? rest : layout.chunk_length);
  simt::Pack<In, E> values[N][Batch] = {};
#pragma unroll
  for (int n = 0; n < N; ++n) {
    if (layout.constant[n] && first < count) {
      const auto value = elementwise::load_or_repeat<E>(in.data[n] + at[n], layout.repeats[n]);
#pragma unroll
      for (int k = 0; k < Batch; ++k) {
        values[n][k] = value;
      }
    }
  }
#pragma unroll 1
  for (int index = first; index < count; index += Batch * step) {
#pragma unroll
    for (int k = 0; k < Batch; ++k) {
      if (index + k * step < count) {
        int64_t from[N];
#pragma unroll
        for (int n = 0; n < N; ++n) {
          from[n] = at[n];
        }
        offset(begin + index + k * step, from);
#pragma unroll
        for (int n = 0; n < N; ++n) {
          if (!layout.constant[n]) {
            values[n][k] = elementwise::load_or_repeat<E>(in.data[n] + from[n], layout.repeats[n]);
          }
        }
      }
    }
#pragma unroll
    for (int k = 0; k < Batch; ++k) {
      if (index + k * step < count) {
#pragma unroll
        for (int e = 0; e < E; ++e) {
          Compute<In> arguments[N];
#pragma unroll
          for (int n = 0; n < N; ++n) {
            arguments[n] = values[n][k][e];
          }
          // The packs of rows lie along the reduction, those of columns across it.
          const int64_t step_index = begin + index + k * step;
          const int64_t place = Accumulators == 1 ? step_index * E + e : step_index;
          append<Op>(acc[e % Accumulators], place, arguments, std::make_index_sequence<N>());
        }
      }
    }
  }
}

template <class Op, int E, class In, int N, int Accumulators>
__device__ void accumulate(const ReduceLayout<N>& layout, const Inputs<In, N>& in,
                           const int64_t (&at)[N], int first, int step,
                           typename Op::Accumulator (&acc)[Accumulators]) {
  // Accumulators take registers, too.
  constexpr bool is_large = Accumulators > 1 && sizeof(typename Op::Accumulator) > 8;
  constexpr int batch = batch_of<E, In, N>(is_large ? 2 : 4);
  if (layout.reduced_rank <= 1) {
    accumulate_batches<Op, E, batch>(layout, in, at, first, step, acc,
                                     [&](int64_t index, int64_t(&from)[N]) {
#pragma unroll
                                       for (int n = 0; n < N; ++n) {
                                         from[n] += index * layout.reduced_stride[n][0];
                                       }
                                     });
  } else {
    accumulate_batches<Op, E, batch_of<E, In, N>(2)>(
        layout, in, at, first, step, acc, [&](int64_t index, int64_t(&from)[N]) {
          add_offsets(from, index, layout.reduced_rank, layout.reduced_extent,
                      layout.reduced_stride);
        });
  }
}

template <class Op, class Store>
__device__ void finish(const Destination<typename Op::Accumulator, Store>& to, int64_t output,
                       int64_t offset, typename Op::Accumulator result) {
  if (to.partials != nullptr) {
    to.partials[output * gridDim.y + blockIdx.y] = result;
  } else {
    to.store(offset, result);
  }
}

// `lanes` threads own a row.
template <int E, class Op, class In, int N, class Store>
__global__ void __launch_bounds__(block_threads, 4)
    rows_kernel(const ReduceLayout<N> __grid_constant__ layout, const Inputs<In, N> in,
                const Destination<typename Op::Accumulator, Store> to) {
  using Accumulator = typename Op::Accumulator;
  const int lanes = layout.lanes;
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const int64_t row =
      int64_t{blockIdx.x} * (block_threads / lanes) + static_cast<int>(threadIdx.x) / lanes;
  Accumulator acc[1] = {Op::identity()};
  if (row < layout.outputs) {
    int64_t at[N] = {};
    add_offsets(at, row, layout.kept_rank, layout.kept_extent, layout.kept_stride);
    accumulate<Op, E>(layout, in, at, lane, lanes, acc);
    if constexpr (N == 1) {
      if (lane < layout.rest && blockIdx.y == gridDim.y - 1) {
        const int64_t place = layout.length * E + lane;
        const Compute<In> value[1] = {in.data[0][at[0] + place]};
        append<Op>(acc[0], place, value, std::make_index_sequence<1>());
      }
    }
  }
  const Accumulator result =
      lanes > 32 ? simt::block_reduce(acc[0], Op::identity(), Combine<Op>())
                 : simt::warp_reduce(acc[0], Combine<Op>(), static_cast<unsigned>(lanes));
  if (lane == 0 && row < layout.outputs) {
    finish<Op>(to, row, output_offset(layout, row), result);
  }
}

// Blocks of an SM: with large accumulators, or one for each of 8 elements of bfloat16, so few that
// they stay in registers.
template <class Accumulator, int E>
inline constexpr int blocks_of_columns = sizeof(Accumulator) > 8 && E == 8   ? 2
                                         : sizeof(Accumulator) > 8 || E == 8 ? 3
                                                                             : 4;

// A block owns a tile of columns; its threads share the rows and meet in shared memory.
template <int E, class Op, class In, int N, class Store>
__global__ void __launch_bounds__(block_threads, blocks_of_columns<typename Op::Accumulator, E>)
    columns_kernel(const ReduceLayout<N> __grid_constant__ layout, const Inputs<In, N> in,
                   const Destination<typename Op::Accumulator, Store> to) {
  using Accumulator = typename Op::Accumulator;
  // Neighbouring threads read neighbouring columns of different packs without bank conflicts.
  constexpr int pitch = block_threads + 128 / static_cast<int>(sizeof(Accumulator)) / E;
  WARPTAPE_SHARED(Accumulator, shared, [E][pitch]);
  const int thread = static_cast<int>(threadIdx.x);
  const int width = layout.lanes;
  const int height = block_threads / width;
  const int row = thread / width;
  const auto tiles = static_cast<unsigned>(layout.column_tiles);
  const int64_t first_column = int64_t{blockIdx.x % tiles} * width;
  const int64_t outer = blockIdx.x / tiles * layout.column_packs;  // its first column

  Accumulator acc[E];
#pragma unroll
  for (int e = 0; e < E; ++e) {
    acc[e] = Op::identity();
  }
  const int64_t column = first_column + thread % width;
  if (row < height && column < layout.column_packs) {
    int64_t at[N] = {};
    add_offsets(at, outer + column, layout.kept_rank, layout.kept_extent, layout.kept_stride);
    accumulate<Op, E>(layout, in, at, row, height, acc);
  }
#pragma unroll
  for (int e = 0; e < E; ++e) {
    shared[e][thread] = acc[e];
  }
  int rows = height;
  while (rows > 1) {
    __syncthreads();
    const int half = (rows + 1) / 2;
    if (row + half < rows) {
#pragma unroll
      for (int e = 0; e < E; ++e) {
        acc[e] = Op::combine(acc[e], shared[e][thread + half * width]);
        shared[e][thread] = acc[e];
      }
    }
    rows = half;
  }
  __syncthreads();
  // Thread by thread along the output.
  const int64_t own_column = first_column + thread / E;
  if (thread < width * E && own_column < layout.column_packs) {
    const int64_t pack = outer + own_column;
    const int e = thread % E;
    finish<Op>(to, pack * E + e, output_offset(layout, pack) + e * layout.output_step,
               shared[e][thread / E]);
  }
}

// ---- rows that are no multiple of a pack -------------------------------------------------------

// As an Op of rows.cuh, which can share packs among rows.
template <class Op, class In, class Store>
struct OddRows : rows::NothingPerBlock {
  using Element = In;
  static constexpr int inputs = 1;
  struct Row {
    typename Op::Accumulator state;
    int64_t row = 0;
  };
  using State = typename Op::Accumulator;

  Store store;
  int64_t output_stride;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    store.for_each_pointer(visit);
  }
  static __device__ State identity() { return Op::identity(); }
  static __device__ State combine(const State& a, const State& b) { return Op::combine(a, b); }
  __device__ void begin(int64_t row, int64_t, bool, Row& own) const { own.row = row; }
  template <class Items>
  __device__ void add(Row& own, const Block&, const Items& items) const {
    items([&](int64_t index, const Compute<In>(&values)[1]) {
      own.state =
          Op::combine(own.state, value_of<Op>(index, values, std::make_index_sequence<1>()));
    });
  }
  __device__ void complete(Row& own, const Block&, bool leads) const {
    if (leads) {
      store(own.row * output_stride, own.state);
    }
  }
  __device__ Compute<In> value(const Row&, const Block&, int64_t, const Compute<In> (&)[1]) const {
    return 0;
  }
};

// Contiguous rows in an aligned tensor whose packs reach from one row into the next; enough rows,
// or short enough, for a block or less to each.
template <class In>
bool is_odd_rows(const ReduceLayout<1>& layout, const In* in) {
  constexpr int64_t longest_of_few = 8192;
  return !layout.columns && layout.pack == 1 && simt::pack_size<In> > 1 && layout.kept_rank == 1 &&
         layout.reduced_rank == 1 && layout.reduced_stride[0][0] == 1 &&
         layout.kept_stride[0][0] == layout.length && layout.length > 1 &&
         layout.length % simt::pack_size<In> != 0 && simt::is_aligned16(in) &&
         (layout.length <= longest_of_few || layout.outputs >= 256);
}

// Op, or what it says that it combines like (Op::Combines), of which ops that differ by their
// values have one kernel together.
template <class Op>
struct CombinesLike {
  using Type = Op;
};
template <class Op>
requires requires {
  typename Op::Combines;
}
struct CombinesLike<Op> {
  using Type = typename Op::Combines;
};

// The second launch: combines what the chunks left.
template <class Op>
struct CombinePartials {
  using Accumulator = typename Op::Accumulator;
  static WARPTAPE_HOST_DEVICE Accumulator identity() { return Op::identity(); }
  static WARPTAPE_HOST_DEVICE Accumulator combine(Accumulator a, Accumulator b) {
    return Op::combine(a, b);
  }
  static WARPTAPE_HOST_DEVICE Accumulator value(Accumulator partial) { return partial; }
};

template <int E, class Op, class In, int N, class Store>
void launch_layout(const char* name, gpu::StreamHandle stream, const ReduceLayout<N>& layout,
                   const Inputs<In, N>& in,
                   const Destination<typename Op::Accumulator, Store>& to) {
  launch(layout.columns ? columns_kernel<E, Op, In, N, Store> : rows_kernel<E, Op, In, N, Store>,
         {.grid = dim3(static_cast<unsigned>(layout.blocks), static_cast<unsigned>(layout.chunks)),
          .block = dim3(block_threads),
          .stream = stream,
          .name = name},
         layout, in, to);
}

// partials: device memory for plan.partials accumulators.
template <class Op, class In, int N, class Store>
void run(const char* name, gpu::StreamHandle stream, const ReducePlan<N>& plan,
         const Inputs<In, N>& in, const Store& store, typename Op::Accumulator* partials) {
  using Accumulator = typename Op::Accumulator;
  using To = Destination<Accumulator, Store>;
  const To first{plan.partials > 0 ? partials : nullptr, store};
  if constexpr (N == 1) {
    if (is_odd_rows(plan.first, in.data[0])) {
      rows::run_aligned(name, stream, {plan.first.outputs, plan.first.length},
                        OddRows<Op, In, Store>{{}, store, plan.first.output_stride[0][0]}, in);
      return;
    }
  }
  if (plan.first.pack == 1) {
    launch_layout<1, Op>(name, stream, plan.first, in, first);
  } else if constexpr (N <= reduce_detail::most_packed_inputs) {
    launch_layout<simt::pack_size<In>, Op>(name, stream, plan.first, in, first);
  }
  if (plan.partials > 0) {
    launch_layout<1, CombinePartials<typename CombinesLike<Op>::Type>>(
        name, stream, plan.second, Inputs<Accumulator, 1>{{partials}}, To{nullptr, store});
  }
}

}  // namespace warptape::reduce
