#pragma once
// Rows across memory: neighbours in memory belong to neighbouring rows (rows.cuh).

#include "core/simt/reduce.cuh"
#include "kernels/rows/rows_op.cuh"

namespace warptape::rows {

// Combines the states of a column's threads, for all of them: those of a warp, then the warps.
template <int E, class Op>
__device__ void combine_columns(const Plan& plan, typename Op::Row (&own)[E]) {
  using simt::shuffle_xor;
  constexpr int widest = 128 / static_cast<int>(sizeof(typename Op::Element));  // of several warps
  WARPTAPE_SHARED(State<Op>, of_warp, [detail::block_threads / 32][widest]);
#pragma unroll
  for (int e = 0; e < E; ++e) {
    for (int distance = plan.lanes; distance < 32; distance *= 2) {
      own[e].state = Op::combine(own[e].state, shuffle_xor(own[e].state, distance));
    }
  }
  if (plan.down == 1) {
    return;
  }
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  if (lane < plan.lanes) {
#pragma unroll
    for (int e = 0; e < E; ++e) {
      of_warp[warp][e * plan.lanes + lane] = own[e].state;
    }
  }
  __syncthreads();
#pragma unroll
  for (int e = 0; e < E; ++e) {
    const int column = e * plan.lanes + lane % plan.lanes;
    own[e].state = of_warp[warp % plan.across][column];
    for (int d = 1; d < plan.down; ++d) {
      own[e].state =
          Op::combine(own[e].state, of_warp[d * plan.across + warp % plan.across][column]);
    }
  }
}

// A block's columns, or its chunk of them. Chunks leave their states side by side, as the columns
// lie.
template <int E, class Op, class T>
__device__ void do_columns(const Plan& plan, const Op& op, const Inputs<T, Op::inputs>& in, T* out,
                           bool add, const Chunks<Op>& chunks, int64_t item,
                           typename Op::Block& block) {
  constexpr int N = Op::inputs;
  constexpr int steps = column_steps<T>;
  const int64_t inner = plan.extents.inner;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int height = 32 / plan.lanes * plan.down;
  const int own_step = warp / plan.across * (32 / plan.lanes) + lane / plan.lanes;
  const int64_t outer = item / plan.tiles;
  const int64_t pack =
      (item % plan.tiles * plan.across + warp % plan.across) * plan.lanes + lane % plan.lanes;
  const bool owns = pack < inner / E;
  const int64_t start = outer * plan.extents.length * inner + pack * E;
  const int64_t first_row = outer * inner + pack * E;
  const int64_t begin = blockIdx.y * plan.chunk_length;
  const int64_t rest = plan.extents.length - begin;
  const int64_t end = begin + (rest < plan.chunk_length ? rest : plan.chunk_length);
  const int64_t turn = int64_t{height} * steps;

  simt::Pack<T, E> packs[N][steps];
  // Calls body(k, index) for the steps of this thread in the turn at `first`.
  const auto each_step = [&](int64_t first, const auto& body) {
#pragma unroll
    for (int k = 0; k < steps; ++k) {
      const int64_t index = first + own_step + k * height;
      if (index < end) {
        body(k, index);
      }
    }
  };
  const auto load = [&](int64_t first) {
    each_step(first, [&](int k, int64_t index) {
#pragma unroll
      for (int n = 0; n < N; ++n) {
        packs[n][k] = simt::load_pack<E>(in.data[n] + start + index * inner);
      }
    });
  };
  const auto values_of = [&](int k, int e, Compute<T>(&values)[N]) {
#pragma unroll
    for (int n = 0; n < N; ++n) {
      values[n] = packs[n][k][e];
    }
  };

  typename Op::Row own[E];
#pragma unroll
  for (int e = 0; e < E; ++e) {
    own[e].state = Op::identity();
  }
  const bool leads = own_step == 0 && blockIdx.y == 0 && chunks.part != Part::States;
  if (owns) {
#pragma unroll
    for (int e = 0; e < E; ++e) {
      op.begin(first_row + e, start + e, leads, own[e]);
    }
  }
  if (owns && chunks.part == Part::Values) {
    for (int64_t c = own_step; c < plan.chunks; c += height) {
      const State<Op>* states = chunks.states + c * plan.extents.count() + first_row;
#pragma unroll
      for (int e = 0; e < E; ++e) {
        own[e].state = Op::combine(own[e].state, states[e]);
      }
    }
  } else if (owns) {
#pragma unroll 1
    for (int64_t first = begin; first < end; first += turn) {
      load(first);
#pragma unroll
      for (int e = 0; e < E; ++e) {
        op.add(own[e], block, [&](const auto& visit) {
          each_step(first, [&](int k, int64_t index) {
            Compute<T> values[N];
            values_of(k, e, values);
            visit(index, values);
          });
        });
      }
    }
  }
  combine_columns<E, Op>(plan, own);
  if (owns && chunks.part == Part::States) {
    if (own_step == 0) {
      State<Op>* states = chunks.states + blockIdx.y * plan.extents.count() + first_row;
#pragma unroll
      for (int e = 0; e < E; ++e) {
        states[e] = own[e].state;
      }
    }
  } else if (owns) {
#pragma unroll
    for (int e = 0; e < E; ++e) {
      op.complete(own[e], block, leads);
    }
    const bool is_loaded = chunks.part == Part::Whole && end - begin <= turn;
#pragma unroll 1
    for (int64_t first = begin; out != nullptr && first < end; first += turn) {
      if (!is_loaded) {
        load(first);
      }
      each_step(first, [&](int k, int64_t index) {
        T* to = out + start + index * inner;
        simt::Pack<T, E> result = {};
        if (add) {
          result = simt::load_pack<E>(to);
        }
#pragma unroll
        for (int e = 0; e < E; ++e) {
          Compute<T> values[N];
          values_of(k, e, values);
          result[e] = written(add, result[e], op.value(own[e], block, index, values));
        }
        simt::store_pack<E>(to, result);
      });
    }
  }
}

// Blocks of an SM: 8 elements of bfloat16 take as many registers once they are floats, and so does
// what an Op keeps of a column.
template <int E, class Op>
inline constexpr int blocks_of_columns = E == 8                          ? 2
                                         : sizeof(typename Op::Row) > 32 ? 3
                                                                         : 4;

template <int E, class Op, class T>
__global__ void __launch_bounds__(detail::block_threads, blocks_of_columns<E, Op>)
    columns_kernel(const Plan __grid_constant__ plan, const Op op, const Inputs<T, Op::inputs> in,
                   T* out, bool add, const Chunks<Op> chunks) {
  typename Op::Block block = op.prepare();
#pragma unroll 1
  for (int64_t item = blockIdx.x; item < plan.items; item += gridDim.x) {
    do_columns<E, Op>(plan, op, in, out, add, chunks, item, block);
    if (item + gridDim.x < plan.items) {
      __syncthreads();  // the states in shared memory have been read
    }
  }
  op.finish(block, chunks.part);
}

}  // namespace warptape::rows
