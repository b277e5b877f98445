#pragma once
// An output like x, element by element, where a Row of numbers belongs to each set (sets.h). A
// thread keeps its columns' rows, or its set's, in registers.

#include "kernels/normalize/sums.cuh"

namespace warptape::normalize {

template <int E, class Op, class T>
__device__ void write_pack(const Op& op, const typename Op::Row* rows, int row_step,
                           const simt::Pack<T, E> (&packs)[Op::inputs], T* to, bool add) {
  simt::Pack<T, E> result = {};
  if (add) {
    result = simt::load_pack<E>(to);
  }
#pragma unroll
  for (int e = 0; e < E; ++e) {
    Compute<T> values[Op::inputs];
    values_of<E, T>(packs, e, values);
    result[e] = written(add, result[e], op.value(rows[e * row_step], values));
  }
  simt::store_pack<E>(to, result);
}

template <int E, class Op, class T, int N>
__global__ void __launch_bounds__(block_threads, resident<E, N>)
    apply_to_columns(const SetsPlan __grid_constant__ plan, const Op op, const Inputs<T, N> in,
                     T* out, bool add) {
  const Sets& sets = plan.sets;
  const int thread = static_cast<int>(threadIdx.x);
  const int height = block_threads / plan.lanes;
  const int own_row = thread / plan.lanes;
  const int64_t o = blockIdx.x / plan.tiles;
  const int64_t column = (blockIdx.x % plan.tiles * plan.lanes + thread % plan.lanes) * E;
  const int64_t width = sets.width();
  if (own_row < height && column < width) {
    typename Op::Row rows[E];
#pragma unroll
    for (int e = 0; e < E; ++e) {
      rows[e] = op.row(o, sets.run == 1 ? column + e : (column + e) / sets.run);
    }
    const int64_t start = o * sets.along * width + column;
    const int64_t begin = blockIdx.y * plan.chunk_length;
    const int64_t rest = sets.along - begin;
    const int64_t end = begin + (rest < plan.chunk_length ? rest : plan.chunk_length);
#pragma unroll(N == 1 ? 4 : 2)
    for (int64_t a = begin + own_row; a < end; a += height) {
      simt::Pack<T, E> packs[N];
#pragma unroll
      for (int n = 0; n < N; ++n) {
        packs[n] = simt::load_pack<E>(in.data[n] + start + a * width);
      }
      write_pack<E>(op, rows, 1, packs, out + start + a * width, add);
    }
  }
  if (blockIdx.x == 0 && blockIdx.y == 0 && thread == 0) {
    op.finish();
  }
}

template <int E, class Op, class T, int N>
__global__ void __launch_bounds__(block_threads, resident<E, N>)
    apply_to_runs(const SetsPlan __grid_constant__ plan, const Op op, const Inputs<T, N> in, T* out,
                  bool add) {
  const Sets& sets = plan.sets;
  const int lanes = plan.lanes;
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const int64_t set =
      int64_t{blockIdx.x} * (block_threads / lanes) + static_cast<int>(threadIdx.x) / lanes;
  if (set < sets.count()) {
    const int64_t o = set / sets.sets;
    const int64_t j = set - o * sets.sets;
    const typename Op::Row row = op.row(o, j);
    const int64_t start = sets.first(o, j);
    const int64_t begin = blockIdx.y * plan.chunk_length;
    const int64_t rest = sets.size() / E - begin;
    const int64_t end = begin + (rest < plan.chunk_length ? rest : plan.chunk_length);
    RunWalk walk(sets, E, begin + lane, lanes);
#pragma unroll(N == 1 ? 4 : 2)
    for (int64_t i = begin + lane; i < end; i += lanes) {
      const int64_t at = start + walk.a * sets.width() + walk.b * E;
      walk.step();
      simt::Pack<T, E> packs[N];
#pragma unroll
      for (int n = 0; n < N; ++n) {
        packs[n] = simt::load_pack<E>(in.data[n] + at);
      }
      write_pack<E>(op, &row, 0, packs, out + at, add);
    }
  }
  if (blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.x == 0) {
    op.finish();
  }
}

template <class Op, class T, int N>
void launch_apply(const char* name, gpu::StreamHandle stream, const SetsPlan& plan, const Op& op,
                  const Inputs<T, N>& in, T* out, bool add) {
  constexpr int E = simt::pack_size<T>;
  auto kernel = plan.columns ? apply_to_columns<1, Op, T, N> : apply_to_runs<1, Op, T, N>;
  if (plan.packed) {
    kernel = plan.columns ? apply_to_columns<E, Op, T, N> : apply_to_runs<E, Op, T, N>;
  }
  launch(kernel,
         {.grid = dim3(static_cast<unsigned>(plan.blocks), static_cast<unsigned>(plan.chunks)),
          .block = dim3(block_threads),
          .stream = stream,
          .name = name},
         plan, op, in, out, add);
}

}  // namespace warptape::normalize
