#pragma once
// Kernels over the rows of a tensor, along any of its dimensions: an accumulation along each row
// and then, element by element, an output of the same shape. row_geometry.h says who owns a row. An
// Op, a struct that is a kernel argument, has
//   using Element; static constexpr int inputs     tensors that are read
//   struct Block; Block prepare() const            of a block: all its threads call it together
//   struct Row                                     of a thread's part of a row; has a member
//   `state` static State identity()                        of no elements void begin(int64_t row,
//   bool leads, Row&) const   leads: for one thread of those on the row void add(Row&, const
//   Items&) const             items(visit) calls visit(index, values) for this
//                                                  thread's elements
//   static State combine(State a, State b)         commutative
//   void complete(Row&, Block&, bool leads) const  the row's state is in all its threads
//   Element value(const Row&, const Block&, int64_t index, values) const
//   void finish(Block&) const                      all threads of the block, at the end
// All orders are fixed, so that results have the same bits every time.

#include "core/device/launch.h"
#include "core/simt/reduce.cuh"
#include "kernels/common/row_part.cuh"
#include "kernels/common/staged_rows.cuh"

namespace warptape::rows {

using elementwise::Inputs;

template <class Op>
using State = decltype(Op::Row::state);

template <class Op>
struct CombineStates {
  __device__ State<Op> operator()(const State<Op>& a, const State<Op>& b) const {
    return Op::combine(a, b);
  }
};

// What is written or added to an element that had the value `old`.
template <class T>
__device__ T written(bool add, T old, T value) {
  return add ? old + value : value;
}

// ---- contiguous rows, in registers ------------------------------------------------------------

// Calls visit(index in the row, values) for the elements that a thread holds. first: of the chunk.
template <class T, int E, int Items, int N, class Visit>
__device__ void visit_parts(const RowPart<T, E, Items> (&parts)[N], const RowPlace& place,
                            int64_t first, const Visit& visit) {
  T values[N];
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
  T values[N];
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
        to[at] = written(add, add ? to[at] : T(0), op.value(own, block, first + at, values));
      });
}

// Loops over chunks are not unrolled: most have one turn, and registers are short.
// out: nullptr if only what the Op itself writes is wanted. Here and below.
template <int E, class Op, class T>
__global__ void __launch_bounds__(max_threads)
    team_kernel(const Plan plan, const Op op, const Inputs<T, Op::inputs> in, T* out, bool add) {
  const int lanes = plan.lanes;
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const int64_t row =
      int64_t{blockIdx.x} * plan.rows_per_block + static_cast<int>(threadIdx.x) / lanes;
  const bool owns = row < plan.extents.outer;
  const int64_t length = plan.extents.length;
  constexpr int items = team_items<T>;
  const int chunk = lanes * items;
  RowPart<T, E, items> parts[Op::inputs] = {};
  RowPlace place = {};
  const auto load = [&](int64_t first) {
    const int64_t rest = length - first;
    place = place_of_row<T, E>(row * length + first,
                               static_cast<int>(rest < chunk ? rest : int64_t{chunk}), lane, lanes);
#pragma unroll
    for (int n = 0; n < Op::inputs; ++n) {
      parts[n].load(in.data[n], place);
    }
  };

  typename Op::Block block = op.prepare();
  typename Op::Row own;
  own.state = Op::identity();
  if (owns) {
    op.begin(row, lane == 0, own);
#pragma unroll 1
    for (int64_t first = 0; first < length; first += chunk) {
      load(first);
      op.add(own, block, [&](const auto& visit) { visit_parts(parts, place, first, visit); });
    }
  }
  const CombineStates<Op> combine;
  own.state = lanes > 32 ? simt::block_reduce(own.state, Op::identity(), combine)
                         : simt::warp_reduce(own.state, combine, static_cast<unsigned>(lanes));
  if (owns) {
    op.complete(own, block, lane == 0);
#pragma unroll 1
    for (int64_t first = 0; out != nullptr && first < length; first += chunk) {
      if (length > chunk) {
        load(first);
      }
      store_parts(op, own, block, parts, place, first, out, add);
    }
  }
  op.finish(block);
}

// ---- contiguous rows, through shared memory ---------------------------------------------------

template <int N, class T, class Pack>
__device__ void values_at(const Pack (&packs)[N], int j, T (&values)[N]) {
#pragma unroll
  for (int n = 0; n < N; ++n) {
    values[n] = packs[n][j];
  }
}

template <class Op, class T>
__global__ void __launch_bounds__(detail::block_threads, 4)
    staged_kernel(const Plan plan, const Op op, const Inputs<T, Op::inputs> in, T* out, bool add) {
  constexpr int N = Op::inputs;
  const auto length = static_cast<int>(plan.extents.length);
  const int64_t first = int64_t{blockIdx.x} * plan.rows_per_block;
  const int64_t left = plan.extents.outer - first;
  const int rows = left < plan.rows_per_block ? static_cast<int>(left) : plan.rows_per_block;
  T* staged[N];
#pragma unroll
  for (int n = 0; n < N; ++n) {
    staged[n] = simt::dynamic_shared<T>() + n * plan.rows_per_block * length;
    stage_in(staged[n], in.data[n] + first * length, rows * length);
  }
  typename Op::Block block = op.prepare();
  __syncthreads();
  const auto r = static_cast<int>(threadIdx.x);
  if (r < rows) {
    for_bank_free_width<T>(length, [&]<int Width>() {
      using Pack = simt::Pack<T, Width>;
      // Calls body(index of the first element, packs of the inputs).
      const auto each = [&](const auto& body) {
        for (int i = 0; i < length; i += Width) {
          Pack packs[N];
#pragma unroll
          for (int n = 0; n < N; ++n) {
            packs[n] = *reinterpret_cast<const Pack*>(staged[n] + r * length + i);
          }
          body(i, packs);
        }
      };
      typename Op::Row own;
      own.state = Op::identity();
      op.begin(first + r, true, own);
      op.add(own, block, [&](const auto& visit) {
        each([&](int i, const Pack(&packs)[N]) {
          T values[N];
#pragma unroll
          for (int j = 0; j < Width; ++j) {
            values_at(packs, j, values);
            visit(i + j, values);
          }
        });
      });
      op.complete(own, block, true);
      if (out != nullptr) {
        each([&](int i, const Pack(&packs)[N]) {
          T values[N];
          Pack result;
#pragma unroll
          for (int j = 0; j < Width; ++j) {
            values_at(packs, j, values);
            result[j] = op.value(own, block, i + j, values);
          }
          *reinterpret_cast<Pack*>(staged[0] + r * length + i) = result;
        });
      }
    });
  }
  if (out != nullptr) {
    __syncthreads();
    stage_out(out + first * length, staged[0], rows * length, add);
  }
  op.finish(block);
}

// ---- rows across memory -----------------------------------------------------------------------

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

template <int E, class Op, class T>
__global__ void __launch_bounds__(detail::block_threads, 4)
    columns_kernel(const Plan plan, const Op op, const Inputs<T, Op::inputs> in, T* out, bool add) {
  constexpr int N = Op::inputs;
  constexpr int steps = column_steps<T>;
  const int64_t length = plan.extents.length;
  const int64_t inner = plan.extents.inner;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int height = 32 / plan.lanes * plan.down;
  const int own_step = warp / plan.across * (32 / plan.lanes) + lane / plan.lanes;
  const int64_t outer = blockIdx.x / plan.tiles;
  const int64_t pack =
      (blockIdx.x % plan.tiles * plan.across + warp % plan.across) * plan.lanes + lane % plan.lanes;
  const bool owns = pack < inner / E;
  const int64_t start = outer * length * inner + pack * E;
  const int64_t chunk = int64_t{height} * steps;

  simt::Pack<T, E> packs[N][steps];
  // Calls body(k, index) for the steps of this thread in the chunk at `first`.
  const auto each_step = [&](int64_t first, const auto& body) {
#pragma unroll
    for (int k = 0; k < steps; ++k) {
      const int64_t index = first + own_step + k * height;
      if (index < length) {
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
  const auto values_of = [&](int k, int e, T(&values)[N]) {
#pragma unroll
    for (int n = 0; n < N; ++n) {
      values[n] = packs[n][k][e];
    }
  };

  typename Op::Block block = op.prepare();
  typename Op::Row own[E];
#pragma unroll
  for (int e = 0; e < E; ++e) {
    own[e].state = Op::identity();
  }
  if (owns) {
#pragma unroll
    for (int e = 0; e < E; ++e) {
      op.begin(outer * inner + pack * E + e, own_step == 0, own[e]);
    }
#pragma unroll 1
    for (int64_t first = 0; first < length; first += chunk) {
      load(first);
#pragma unroll
      for (int e = 0; e < E; ++e) {
        op.add(own[e], block, [&](const auto& visit) {
          each_step(first, [&](int k, int64_t index) {
            T values[N];
            values_of(k, e, values);
            visit(index, values);
          });
        });
      }
    }
  }
  combine_columns<E, Op>(plan, own);
  if (owns) {
#pragma unroll
    for (int e = 0; e < E; ++e) {
      op.complete(own[e], block, own_step == 0);
    }
#pragma unroll 1
    for (int64_t first = 0; out != nullptr && first < length; first += chunk) {
      if (length > chunk) {
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
          T values[N];
          values_of(k, e, values);
          result[e] = written(add, result[e], op.value(own[e], block, index, values));
        }
        simt::store_pack<E>(to, result);
      });
    }
  }
  op.finish(block);
}

// ---- launching --------------------------------------------------------------------------------

template <class T, int N>
Plan plan_of(const Extents& extents, const Inputs<T, N>& in, const T* out) {
  bool aligned = simt::is_aligned16(out);
  for (const T* data : in.data) {
    aligned = aligned && simt::is_aligned16(data);
  }
  return make_plan<T>(extents, N, aligned);
}

template <class Op, class T>
void run(const char* name, gpu::StreamHandle stream, const Plan& plan, const Op& op,
         const Inputs<T, Op::inputs>& in, T* out, bool add) {
  constexpr int E = simt::pack_size<T>;
  auto* kernel = staged_kernel<Op, T>;
  if (plan.layout == Layout::Team) {
    kernel = plan.packed ? team_kernel<E, Op, T> : team_kernel<1, Op, T>;
  } else if (plan.layout == Layout::Columns) {
    kernel = plan.packed ? columns_kernel<E, Op, T> : columns_kernel<1, Op, T>;
  }
  launch(kernel,
         {.grid = dim3(static_cast<unsigned>(plan.blocks)),
          .block = dim3(static_cast<unsigned>(plan.threads)),
          .smem = plan.shared_bytes,
          .stream = stream,
          .name = name},
         plan, op, in, out, add);
}

}  // namespace warptape::rows
