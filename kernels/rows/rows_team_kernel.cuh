#pragma once
// Contiguous rows, each in the registers of a warp, part of one, or a block (rows.cuh).

#include "core/simt/reduce.cuh"
#include "kernels/rows/row_part.cuh"
#include "kernels/rows/rows_op.cuh"

namespace warptape::rows {

// Calls visit(index in the row, values) for the elements that a thread holds. first: of the chunk.
template <class T, int E, int Items, int N, class Visit>
__device__ void visit_parts(const RowPart<T, E, Items> (&parts)[N], const RowPlace& place,
                            int64_t first, const Visit& visit) {
  Compute<T> values[N];
  RowPart<T, E, Items>::visit(
      place,
      [&](int i, int at) {
#pragma unroll
        for (int j = 0; j < E; ++j) {
#pragma unroll
          for (int n = 0; n < N; ++n) {
            values[n] = parts[n].body[i][j];
          }
          visit(first + at + j, values);
        }
      },
      [&](int at) {
#pragma unroll
        for (int n = 0; n < N; ++n) {
          values[n] = parts[n].edge;
        }
        visit(first + at, values);
      });
}

template <class Op, class T, int E, int Items, int N>
__device__ void store_parts(const Op& op, const typename Op::Row& own,
                            const typename Op::Block& block, const RowPart<T, E, Items> (&parts)[N],
                            const RowPlace& place, int64_t first, T* out, bool add) {
  T* to = out + place.start;
  Compute<T> values[N];
  RowPart<T, E, Items>::visit(
      place,
      [&](int i, int at) {
        simt::Pack<T, E> result = {};
        if (add) {
          result = simt::load_pack<E>(to + at);
        }
#pragma unroll
        for (int j = 0; j < E; ++j) {
#pragma unroll
          for (int n = 0; n < N; ++n) {
            values[n] = parts[n].body[i][j];
          }
          result[j] = written(add, result[j], op.value(own, block, first + at + j, values));
        }
        simt::store_pack<E>(to + at, result);
      },
      [&](int at) {
#pragma unroll
        for (int n = 0; n < N; ++n) {
          values[n] = parts[n].edge;
        }
        to[at] = written(add, to[at], op.value(own, block, first + at, values));
      });
}

// Turns are not unrolled: most rows have one, and registers are short.
// out: nullptr if only what the Op itself writes is wanted. Here and below.
template <int E, class Op, class T>
__device__ void do_team(const Plan& plan, const Op& op, const Inputs<T, Op::inputs>& in, T* out,
                        bool add, const Chunks<Op>& chunks, int64_t item,
                        typename Op::Block& block) {
  const int lanes = plan.lanes;
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const int64_t row = item * plan.rows_per_block + static_cast<int>(threadIdx.x) / lanes;
  const bool owns = row < plan.extents.outer;
  const int64_t length = plan.extents.length;
  const int64_t begin = blockIdx.y * plan.chunk_length;
  const int64_t end = length - begin < plan.chunk_length ? length : begin + plan.chunk_length;
  constexpr int items = team_items<T>;
  const int turn = lanes * items;
  RowPart<T, E, items> parts[Op::inputs] = {};
  RowPlace place = {};
  const auto load = [&](int64_t first) {
    const int64_t rest = end - first;
    place = place_of_row<T, E>(row * length + first,
                               static_cast<int>(rest < turn ? rest : int64_t{turn}), lane, lanes);
#pragma unroll
    for (int n = 0; n < Op::inputs; ++n) {
      parts[n].load(in.data[n], place);
    }
  };

  typename Op::Row own;
  own.state = Op::identity();
  const bool leads = lane == 0 && blockIdx.y == 0 && chunks.part != Part::States;
  if (owns) {
    op.begin(row, row * length, leads, own);
  }
  if (owns && chunks.part == Part::Values) {
    for (int64_t c = lane; c < plan.chunks; c += lanes) {
      own.state = Op::combine(own.state, chunks.states[row * plan.chunks + c]);
    }
  } else if (owns) {
#pragma unroll 1
    for (int64_t first = begin; first < end; first += turn) {
      load(first);
      op.add(own, block, [&](const auto& visit) { visit_parts(parts, place, first, visit); });
    }
  }
  const CombineStates<Op> combine;
  own.state = lanes > 32 ? simt::block_reduce(own.state, Op::identity(), combine)
                         : simt::warp_reduce(own.state, combine, static_cast<unsigned>(lanes));
  if (owns && chunks.part == Part::States) {
    if (lane == 0) {
      chunks.states[row * plan.chunks + blockIdx.y] = own.state;
    }
  } else if (owns) {
    op.complete(own, block, leads);
    const bool is_loaded = chunks.part == Part::Whole && end - begin <= turn;
#pragma unroll 1
    for (int64_t first = begin; out != nullptr && first < end; first += turn) {
      if (!is_loaded) {
        load(first);
      }
      store_parts(op, own, block, parts, place, first, out, add);
    }
  }
}

template <int E, class Op, class T>
__global__ void __launch_bounds__(max_threads)
    team_kernel(const Plan __grid_constant__ plan, const Op op, const Inputs<T, Op::inputs> in,
                T* out, bool add, const Chunks<Op> chunks) {
  typename Op::Block block = op.prepare();
#pragma unroll 1
  for (int64_t item = blockIdx.x; item < plan.items; item += gridDim.x) {
    do_team<E, Op>(plan, op, in, out, add, chunks, item, block);
    if (plan.lanes > 32 && item + gridDim.x < plan.items) {
      __syncthreads();  // the states in shared memory have been read
    }
  }
  op.finish(block, chunks.part);
}

}  // namespace warptape::rows
