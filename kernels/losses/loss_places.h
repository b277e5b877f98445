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
// beside a whole pack; or so that packs do not serve.
enum class Lies { Along, InPacks, Repeated, Anyhow };

// aligned: the operand begins at a pack.
inline Lies lies_of(const LossLoop& loop, Beside operand, int64_t pack, bool aligned) {
  const Strides& stride = loop.stride[static_cast<size_t>(operand) + 1];
  if (std::equal(stride.begin(), stride.begin() + loop.rank, loop.stride[0].begin())) {
    return aligned ? Lies::Along : Lies::Anyhow;
  }
  const auto inner = static_cast<size_t>(std::max(loop.rank, 1) - 1);
  if (loop.extent[inner] % pack != 0) {
    return Lies::Anyhow;
  }
  const auto is_whole = [&](int64_t step) { return step % pack == 0; };
  const bool in_packs = stride[inner] == 1 && aligned &&
                        std::all_of(stride.begin(), stride.begin() + inner, is_whole);
  return stride[inner] == 0 ? Lies::Repeated : in_packs ? Lies::InPacks : Lies::Anyhow;
}

struct LossPlaces {
  int64_t packs = 0;  // of the input; one element each where packs do not serve
  int rank = 0;
  int64_t extent[max_rank] = {};  // in elements
  int64_t stride[operands_beside][max_rank] = {};
  bool along[operands_beside] = {};
  bool repeated[operands_beside] = {};  // one element fills a pack
  bool all_along = true;

  // The elements of the operands that go with element `index` of the input.
  WARPTAPE_HOST_DEVICE void find(int64_t index, int64_t (&at)[operands_beside]) const {
    for (int o = 0; o < operands_beside; ++o) {
      at[o] = along[o] ? index : 0;
    }
    if (all_along) {
      return;
    }
    for (int d = rank - 1; d >= 0; --d) {
      const int64_t i = d == 0 ? index : index % extent[d];
      index = d == 0 ? 0 : index / extent[d];
      for (int o = 0; o < operands_beside; ++o) {
        at[o] += along[o] ? 0 : i * stride[o][d];
      }
    }
  }
};

inline LossPlaces loss_places(const LossLoop& loop, int64_t pack) {
  LossPlaces places;
  places.packs = loop.numel() / pack;
  places.rank = loop.rank;
  std::copy(loop.extent.begin(), loop.extent.end(), places.extent);
  for (int o = 0; o < operands_beside; ++o) {
    const Strides& stride = loop.stride[static_cast<size_t>(o) + 1];
    std::copy(stride.begin(), stride.end(), places.stride[o]);
    const Lies lies = lies_of(loop, static_cast<Beside>(o), pack, true);
    places.along[o] = lies == Lies::Along;
    places.repeated[o] = lies == Lies::Repeated;
    places.all_along = places.all_along && places.along[o];
  }
  return places;
}

// Blocks of 256 threads: two packs for each thread, and no more blocks than run at once.
inline int64_t loss_blocks(int64_t elements, int64_t per_pack) {
  constexpr int64_t resident = 4 * 132;
  const int64_t in_block = 2 * elementwise::block_threads * per_pack;
  return std::clamp<int64_t>((elements + in_block - 1) / in_block, 1, resident);
}

}  // namespace warptape::losses
