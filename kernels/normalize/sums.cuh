#pragma once
// Sums over sets (sets.h) of a Summand's terms, and what is kept of them (arithmetic.h). Orders are
// fixed, so that results have the same bits every time. Where a set is divided into chunks, the
// last block that has done one of them adds them up.

#include "core/device/launch.h"
#include "core/elementwise.cuh"
#include "core/simt/arrive.cuh"
#include "core/simt/reduce.cuh"
#include "kernels/normalize/arithmetic.h"

namespace warptape::normalize {

using elementwise::Inputs;

__device__ inline Sums shuffle_xor(Sums value, int lane_mask) {
  return {simt::shuffle_xor(value.first, lane_mask), simt::shuffle_xor(value.second, lane_mask)};
}

struct AddSums {
  __device__ Sums operator()(const Sums& a, const Sums& b) const { return a + b; }
};

struct Partials {
  Sums* sums;                    // plan.partials()
  unsigned long long* arrivals;  // plan.counters(), 0 between launches

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(sums);
    visit(arrivals);
  }
};

// Whether this block is the last one of its sets. All threads call it, behind their writes.
__device__ inline bool is_last_chunk(const SetsPlan& plan, const Partials& partials) {
  WARPTAPE_SHARED(bool, is_last, [1]);
  __syncthreads();
  if (threadIdx.x == 0) {
    is_last[0] =
        simt::arrive_is_last(partials.arrivals + blockIdx.x, static_cast<unsigned>(plan.chunks));
  }
  __syncthreads();
  return is_last[0];
}

// Loads that precede their use.
template <int E, class Summand>
inline constexpr int batch = (Summand::inputs == 1 ? 4 : 2) / (E == 8 ? 2 : 1);

// Blocks of an SM, so few that what a thread keeps stays in registers.
template <int E, int Inputs>
inline constexpr int resident = E == 8 || Inputs > 1 ? 2 : 3;

template <int E, class T, int N>
__device__ void values_of(const simt::Pack<T, E> (&packs)[N], int e, Compute<T> (&values)[N]) {
#pragma unroll
  for (int n = 0; n < N; ++n) {
    values[n] = packs[n][e];
  }
}

// A thread's rows of its columns.
template <int E, class Summand, class T, int N>
__device__ void add_columns(const SetsPlan& plan, const Summand& summand, const Inputs<T, N>& in,
                            int64_t o, int64_t column, int row, int height, Sums (&own)[E]) {
  constexpr int B = batch<E, Summand>;
  const Sets& sets = plan.sets;
  const int64_t begin = blockIdx.y * plan.chunk_length;
  const int64_t rest = sets.along - begin;
  const auto count = static_cast<int>(rest < plan.chunk_length ? rest : plan.chunk_length);
  const int64_t width = sets.width();
  const int64_t start = (o * sets.along + begin) * width + column;
  typename Summand::Around around[E];
  const auto look_around = [&](int64_t a) {
#pragma unroll
    for (int e = 0; e < E; ++e) {
      const int64_t j = sets.run == 1 ? column + e : (column + e) / sets.run;
      around[e] = summand.around(sets, o, a, j, column + e - j * sets.run);
    }
  };
  if constexpr (!Summand::varies()) {
    look_around(begin);
  }
#pragma unroll 1
  for (int first = row; first < count; first += B * height) {
    simt::Pack<T, E> packs[B][N];
#pragma unroll
    for (int k = 0; k < B; ++k) {
      if (first + k * height < count) {
#pragma unroll
        for (int n = 0; n < N; ++n) {
          packs[k][n] =
              simt::load_pack<E>(in.data[n] + start + int64_t{first + k * height} * width);
        }
      }
    }
#pragma unroll
    for (int k = 0; k < B; ++k) {
      if (first + k * height < count) {
        if constexpr (Summand::varies()) {
          look_around(begin + first + k * height);
        }
#pragma unroll
        for (int e = 0; e < E; ++e) {
          Compute<T> values[N];
          values_of<E, T>(packs[k], e, values);
          summand.add(own[e], values, around[e]);
        }
      }
    }
  }
}

template <int E, class Summand, class T, int N, class Keep>
__global__ void __launch_bounds__(block_threads, resident<E, N>)
    column_sums(const SetsPlan __grid_constant__ plan, const Summand summand, const Inputs<T, N> in,
                const Keep keep, const Partials partials) {
  // Neighbouring threads read neighbouring columns of different packs without bank conflicts.
  constexpr int pitch = block_threads + 128 / static_cast<int>(sizeof(Sums)) / E;
  WARPTAPE_SHARED(Sums, shared, [E][pitch]);
  WARPTAPE_SHARED(Sums, totals, [block_threads]);
  const Sets& sets = plan.sets;
  const int thread = static_cast<int>(threadIdx.x);
  const int height = block_threads / plan.lanes;
  const int row = thread / plan.lanes;
  const int width = plan.lanes * E;
  const int64_t o = blockIdx.x / plan.tiles;
  const int64_t first_column = blockIdx.x % plan.tiles * width;
  const int64_t column = first_column + thread % plan.lanes * E;

  Sums own[E] = {};
  if (row < height && column < sets.width()) {
    add_columns<E>(plan, summand, in, o, column, row, height, own);
  }
#pragma unroll
  for (int e = 0; e < E; ++e) {
    shared[e][thread] = own[e];
  }
  int rows = height;
  while (rows > 1) {
    __syncthreads();
    const int half = (rows + 1) / 2;
    if (row + half < rows) {
#pragma unroll
      for (int e = 0; e < E; ++e) {
        own[e] = own[e] + shared[e][thread + half * plan.lanes];
        shared[e][thread] = own[e];
      }
    }
    rows = half;
  }
  __syncthreads();
  if (plan.chunks == 1) {
    if (thread < width) {
      totals[thread] = shared[thread % E][thread / E];
    }
  } else {
    Sums* of_chunks = partials.sums + blockIdx.x * plan.chunks * width;
    if (thread < width) {
      of_chunks[blockIdx.y * width + thread] = shared[thread % E][thread / E];
    }
    if (!is_last_chunk(plan, partials)) {
      return;
    }
    // Several threads share a column's chunks; then one adds up what they have.
    const int parts = block_threads / width;
    const int part = thread / width;
    Sums total = {};
    if (part < parts) {
#pragma unroll 4
      for (int64_t chunk = part; chunk < plan.chunks; chunk += parts) {
        total = total + of_chunks[chunk * width + thread % width];
      }
    }
    shared[0][thread] = total;
    __syncthreads();
    if (part == 0) {
      for (int p = 1; p < parts; ++p) {
        total = total + shared[0][thread + p * width];
      }
      totals[thread] = total;
    }
  }
  __syncthreads();
  const auto run = static_cast<int>(sets.run);
  const int64_t j = first_column / run + thread;
  if (thread < width / run && j < sets.sets) {
    Sums total = {};
    for (int b = 0; b < run; ++b) {
      total = total + totals[thread * run + b];
    }
    keep(o * sets.sets + j, j, summand.around(sets, o, 0, j, 0), total);
  }
}

// Where in its set a thread's next pack is, `lanes` packs from the one before, without a division.
struct RunWalk {
  int64_t a;
  int64_t b;  // in packs
  int64_t packs;
  int64_t step_a;
  int64_t step_b;

  __device__ RunWalk(const Sets& sets, int pack, int64_t first, int lanes)
      : packs(sets.run / pack) {
    a = first / packs;
    b = first - a * packs;
    step_a = lanes / packs;
    step_b = lanes - step_a * packs;
  }
  __device__ void step() {
    a += step_a;
    b += step_b;
    if (b >= packs) {
      b -= packs;
      ++a;
    }
  }
};

template <int E, class Summand, class T, int N, class Keep>
__global__ void __launch_bounds__(block_threads, resident<E, N>)
    run_sums(const SetsPlan __grid_constant__ plan, const Summand summand, const Inputs<T, N> in,
             const Keep keep, const Partials partials) {
  constexpr int B = batch<E, Summand>;
  const Sets& sets = plan.sets;
  const int lanes = plan.lanes;
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const int64_t set =
      int64_t{blockIdx.x} * (block_threads / lanes) + static_cast<int>(threadIdx.x) / lanes;
  const bool owns = set < sets.count();
  const int64_t o = set / sets.sets;
  const int64_t j = set - o * sets.sets;
  const int64_t start = sets.first(o, j);
  const int64_t begin = blockIdx.y * plan.chunk_length;
  const int64_t rest = sets.size() / E - begin;
  const int64_t end = begin + (rest < plan.chunk_length ? rest : plan.chunk_length);

  Sums own = {};
  typename Summand::Around around{};
  if (owns) {
    around = summand.around(sets, o, 0, j, 0);
    RunWalk walk(sets, E, begin + lane, lanes);
#pragma unroll 1
    for (int64_t first = begin + lane; first < end; first += int64_t{B} * lanes) {
      simt::Pack<T, E> packs[B][N];
      int64_t a[B];
      int64_t b[B];
#pragma unroll
      for (int k = 0; k < B; ++k) {
        if (first + k * lanes < end) {
          a[k] = walk.a;
          b[k] = walk.b * E;
          walk.step();
#pragma unroll
          for (int n = 0; n < N; ++n) {
            packs[k][n] = simt::load_pack<E>(in.data[n] + start + a[k] * sets.width() + b[k]);
          }
        }
      }
#pragma unroll
      for (int k = 0; k < B; ++k) {
        if (first + k * lanes < end) {
#pragma unroll
          for (int e = 0; e < E; ++e) {
            if constexpr (Summand::varies()) {
              around = summand.around(sets, o, a[k], j, b[k] + e);
            }
            Compute<T> values[N];
            values_of<E, T>(packs[k], e, values);
            summand.add(own, values, around);
          }
        }
      }
    }
  }
  Sums total = lanes > 32 ? simt::block_reduce(own, Sums{}, AddSums())
                          : simt::warp_reduce(own, AddSums(), static_cast<unsigned>(lanes));
  if (plan.chunks > 1) {
    Sums* of_chunks = partials.sums + set * plan.chunks;
    if (lane == 0) {
      of_chunks[blockIdx.y] = total;
    }
    if (!is_last_chunk(plan, partials)) {
      return;
    }
    total = {};
    for (int64_t chunk = lane; chunk < plan.chunks; chunk += lanes) {
      total = total + of_chunks[chunk];
    }
    total = simt::block_reduce(total, Sums{}, AddSums());
  }
  if (owns && lane == 0) {
    keep(set, j, summand.around(sets, o, 0, j, 0), total);
  }
}

template <class Summand, class T, int N, class Keep>
void launch_sums(const char* name, gpu::StreamHandle stream, const SetsPlan& plan,
                 const Summand& summand, const Inputs<T, N>& in, const Keep& keep,
                 const Partials& partials) {
  constexpr int E = simt::pack_size<T>;
  auto kernel =
      plan.columns ? column_sums<1, Summand, T, N, Keep> : run_sums<1, Summand, T, N, Keep>;
  if (plan.packed) {
    kernel = plan.columns ? column_sums<E, Summand, T, N, Keep> : run_sums<E, Summand, T, N, Keep>;
  }
  launch(kernel,
         {.grid = dim3(static_cast<unsigned>(plan.blocks), static_cast<unsigned>(plan.chunks)),
          .block = dim3(block_threads),
          .stream = stream,
          .name = name},
         plan, summand, in, keep, partials);
}

}  // namespace warptape::normalize
