#pragma once
// A row, held in the registers of the team of threads that owns it.

#include "core/simt/packs.cuh"
#include "kernels/rows/row_geometry.h"

namespace warptape::rows {

// Where a thread finds its part: elements [start, start + length) of a tensor, of which the first
// `head` and the last ones stand beside the packs, one per lane.
struct RowPlace {
  int64_t start;
  int length;  // 0 for a thread without a row
  int head;
  int lane;   // of the thread in its team
  int lanes;  // of the team
};

// E: elements of a pack; 1 where the tensor does not start at 16 bytes.
// The packs of a row that does not start at one begin at a sector of device memory (32 bytes), so
// that no warp touches more of them than it has to.
template <class T, int E = simt::pack_size<T>>
__device__ RowPlace place_of_row(int64_t start, int length, int lane, int lanes) {
  constexpr int sector = 32 / static_cast<int>(sizeof(T));
  const auto head = start % E == 0 ? 0 : static_cast<int>(sector - start % sector);
  return {start, length, head < length ? head : length, lane, lanes};
}

// What one thread holds. Items that the row does not reach are zero, so that sums need no
// condition.
template <class T, int E = simt::pack_size<T>, int Items = items_per_thread<T>>
struct RowPart {
  static constexpr int width = E;
  static constexpr int packs = Items / width;
  using Pack = simt::Pack<T, width>;

  Pack body[packs];
  T edge;  // one element before or behind the packs

  // Calls body_access(i, offset) for the thread's packs and edge_access(offset) for its edge;
  // offsets count from the row's first element.
  template <class BodyAccess, class EdgeAccess>
  static __device__ void visit(const RowPlace& place, const BodyAccess& body_access,
                               const EdgeAccess& edge_access) {
    const int count = (place.length - place.head) / width;
#pragma unroll
    for (int i = 0; i < packs; ++i) {
      const int index = place.lane + i * place.lanes;
      if (index < count) {
        body_access(i, place.head + index * width);
      }
    }
    const int tail = place.length - place.head - count * width;
    if (place.lane < place.head) {
      edge_access(place.lane);
    } else if (place.lane < place.head + tail) {
      edge_access(place.length - tail + place.lane - place.head);
    }
  }

  __device__ void load(const T* tensor, const RowPlace& place) {
    const T* row = tensor + place.start;
#pragma unroll
    for (int i = 0; i < packs; ++i) {
      body[i] = Pack{};
    }
    edge = T(0);
    visit(
        place, [&](int i, int at) { body[i] = simt::load_pack<E>(row + at); },
        [&](int at) { edge = row[at]; });
  }
};

// The sum over a team, for each of its threads, in an order that depends on `lanes` alone. All
// threads of the block call it together; warp_sums: one double per warp.
__device__ inline double team_sum(double value, int lanes, double* warp_sums) {
  constexpr unsigned all = 0xFFFFFFFFu;
  for (int distance = (lanes < 32 ? lanes : 32) / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(all, value, distance);
  }
  if (lanes <= 32) {
    return value;
  }
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int team_warps = lanes / 32;
  if (lane == 0) {
    warp_sums[warp] = value;
  }
  __syncthreads();
  value = lane < team_warps ? warp_sums[warp / team_warps * team_warps + lane] : 0.0;
  for (int distance = team_warps / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(all, value, distance);
  }
  return __shfl_sync(all, value, 0);
}

}  // namespace warptape::rows
