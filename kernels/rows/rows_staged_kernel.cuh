#pragma once
// Contiguous short rows, through shared memory (rows.cuh).

#include "core/simt/reduce.cuh"
#include "kernels/rows/rows_op.cuh"
#include "kernels/rows/staged_rows.cuh"

namespace warptape::rows {

template <int N, class T, class Pack>
__device__ void values_at(const Pack (&packs)[N], int j, Compute<T> (&values)[N]) {
#pragma unroll
  for (int n = 0; n < N; ++n) {
    values[n] = packs[n][j];
  }
}

template <class Op, class T>
__device__ void do_staged(const Plan& plan, const Op& op, const Inputs<T, Op::inputs>& in, T* out,
                          bool add, int64_t item, typename Op::Block& block) {
  constexpr int N = Op::inputs;
  const auto length = static_cast<int>(plan.extents.length);
  const int64_t first = item * plan.rows_per_block;
  const int64_t left = plan.extents.outer - first;
  const int rows = left < plan.rows_per_block ? static_cast<int>(left) : plan.rows_per_block;
  T* staged[N];
#pragma unroll
  for (int n = 0; n < N; ++n) {
    staged[n] = simt::dynamic_shared<T>() + n * plan.rows_per_block * length;
    stage_in(staged[n], in.data[n] + first * length, rows * length);
  }
  __syncthreads();
  // A thread owns a row, or a warp several, one after the other.
  const int lanes = plan.lanes;
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const int step = static_cast<int>(blockDim.x) / lanes;
  for_bank_free_width<T>(length, [&]<int Width>() {
    using Pack = simt::Pack<T, Width>;
    for (int r = static_cast<int>(threadIdx.x) / lanes; r < rows; r += step) {
      // Calls body(index of the first element, packs of the inputs).
      const auto each = [&](const auto& body) {
        for (int i = lane * Width; i < length; i += lanes * Width) {
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
      op.begin(first + r, (first + r) * length, lane == 0, own);
      op.add(own, block, [&](const auto& visit) {
        each([&](int i, const Pack(&packs)[N]) {
          Compute<T> values[N];
#pragma unroll
          for (int j = 0; j < Width; ++j) {
            values_at<N, T>(packs, j, values);
            visit(i + j, values);
          }
        });
      });
      own.state = simt::warp_reduce(own.state, CombineStates<Op>(), static_cast<unsigned>(lanes));
      op.complete(own, block, lane == 0);
      if (out != nullptr) {
        each([&](int i, const Pack(&packs)[N]) {
          Compute<T> values[N];
          Pack result;
#pragma unroll
          for (int j = 0; j < Width; ++j) {
            values_at<N, T>(packs, j, values);
            result[j] = static_cast<T>(op.value(own, block, i + j, values));
          }
          *reinterpret_cast<Pack*>(staged[0] + r * length + i) = result;
        });
      }
    }
  });
  if (out != nullptr) {
    __syncthreads();
    stage_out(out + first * length, staged[0], rows * length, add);
  }
}

// Blocks of an SM: with doubles, so few that they stay in registers.
template <class Op, class T>
__global__ void __launch_bounds__(detail::block_threads, sizeof(T) > 4 ? 3 : 4)
    staged_kernel(const Plan __grid_constant__ plan, const Op op, const Inputs<T, Op::inputs> in,
                  T* out, bool add, const Chunks<Op> chunks) {
  typename Op::Block block = op.prepare();
#pragma unroll 1
  for (int64_t item = blockIdx.x; item < plan.items; item += gridDim.x) {
    do_staged(plan, op, in, out, add, item, block);
    if (item + gridDim.x < plan.items) {
      __syncthreads();  // shared memory has been read
    }
  }
  op.finish(block, chunks.part);
}

}  // namespace warptape::rows
