#pragma once
// Where the threads of a loss's kernels work: along the input as it lies in memory, in packs, with
// the other operands beside it. Plain numbers, from shapes and addresses alone: tested on the host.

#include <algorithm>

#include "core/elementwise_places.h"
#include "core/strided_loop.h"

namespace warptape::losses {

// Operands beside the input: what its elements are compared with, what some losses take besides,
// and which elements count.
enum Beside { target_operand, third_operand, mask_operand, operands_beside };

using LossLoop = StridedLoop<1 + operands_beside>;  // the input, then those

// How an operand lies beside packs of the input: as the input does; in packs elsewhere; one element
// beside a whole pack; or anyhow, and is read one by one.
enum class Lies { Along, InPacks, Repeated, Anyhow };

struct LossPlaces {
  elementwise::FlatRange range;  // packs of the input
  int rank = 0;
  int64_t extent[max_rank] = {};
  int64_t stride[operands_beside][max_rank] = {};
  Lies lies[operands_beside] = {};

  // Of the element of an operand that goes with element `index` of the input.
  WARPTAPE_HOST_DEVICE int64_t offset(int operand, int64_t index) const {
    int64_t result = 0;
    for (int d = rank - 1; d >= 0; --d) {
      const int64_t i = d == 0 ? index : index % extent[d];
      index = d == 0 ? 0 : index / extent[d];
      result += i * stride[operand][d];
    }
    return result;
  }
};

// Blocks of 256 threads: two packs for each thread, and no more blocks than run at once.
inline int64_t loss_blocks(int64_t elements, int64_t per_pack) {
  constexpr int64_t resident = 4 * 132;
  const int64_t in_block = 2 * elementwise::block_threads * per_pack;
  return std::clamp<int64_t>((elements + in_block - 1) / in_block, 1, resident);
}

// Whether operand `o` of the loop goes as the first one, the input.
inline bool lies_along(const LossLoop& loop, int operand) {
  const Strides& stride = loop.stride[static_cast<size_t>(operand) + 1];
  return std::equal(stride.begin(), stride.begin() + loop.rank, loop.stride[0].begin());
}

// range: the packs of the input, of so many elements. aligned: which operands begin at a pack.
inline LossPlaces loss_places(const LossLoop& loop, const elementwise::FlatRange& range,
                              int64_t pack, const bool (&aligned)[operands_beside]) {
  LossPlaces places;
  places.range = range;
  places.rank = loop.rank;
  std::copy(loop.extent.begin(), loop.extent.end(), places.extent);
  const auto inner = static_cast<size_t>(std::max(loop.rank, 1) - 1);
  const bool whole = pack > 1 && range.ends == 0 && loop.extent[inner] % pack == 0;
  for (int o = 0; o < operands_beside; ++o) {
    const Strides& stride = loop.stride[static_cast<size_t>(o) + 1];
    std::copy(stride.begin(), stride.end(), places.stride[o]);
    const bool in_packs = stride[inner] == 1 && aligned[o] &&
                          std::all_of(stride.begin(), stride.begin() + inner,
                                      [&](int64_t step) { return step % pack == 0; });
    places.lies[o] = lies_along(loop, o)           ? Lies::Along
                     : whole && stride[inner] == 0 ? Lies::Repeated
                     : whole && in_packs           ? Lies::InPacks
                                                   : Lies::Anyhow;
  }
  return places;
}

}  // namespace warptape::losses
