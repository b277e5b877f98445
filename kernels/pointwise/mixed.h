#pragma once
// Where the threads of an element-by-element kernel over tensors of several element sizes work
// (mixed.cuh). Plain numbers, from shapes and addresses alone: tested on the host.

#include <algorithm>

#include "core/elementwise_places.h"

namespace warptape::mixed {

// Elements that a thread takes together: 16 bytes of the widest operand.
template <class... T>
inline constexpr int pack_of = 16 / static_cast<int>(std::max({sizeof(T)...}));

// One pack per thread, and one element of those behind the last pack. Operand 0 is the output.
template <int Operands>
struct Places : elementwise::NoPointers {
  int rank = 0;
  int64_t packs = 0;
  int64_t tail = 0;               // elements behind the packs, where all operands are contiguous
  int64_t tail_begin = 0;         // the first of them
  int64_t extent[max_rank] = {};  // in packs
  int64_t stride[Operands][max_rank] = {};
  bool repeats[Operands] = {};  // one element fills a pack

  int64_t threads() const { return packs + tail; }
};

template <int Operands>
Places<Operands> make_places(const StridedLoop<Operands>& loop, int pack) {
  Places<Operands> places;
  places.rank = std::max(loop.rank, 1);
  const int inner = places.rank - 1;
  places.packs = 1;
  for (int d = 0; d < places.rank; ++d) {
    const auto i = static_cast<size_t>(d);
    const int64_t elements = loop.rank == 0 ? 1 : loop.extent[i];
    const int per_place = d == inner ? pack : 1;
    places.extent[d] = elements / per_place;
    places.packs *= places.extent[d];
    for (size_t o = 0; o < Operands; ++o) {
      places.stride[o][d] = loop.stride[o][i] * per_place;
      places.repeats[o] = loop.stride[o][static_cast<size_t>(inner)] == 0;
    }
  }
  places.tail_begin = places.packs * pack;
  places.tail = loop.numel() - places.tail_begin;
  return places;
}

// Whether packs serve. aligned: operand by operand, to a pack of its elements.
template <int Operands>
bool fits_packs(const StridedLoop<Operands>& loop, const bool (&aligned)[Operands], int pack) {
  const auto inner = static_cast<size_t>(loop.rank - 1);
  if (loop.rank == 0 || loop.extent[inner] < pack || loop.stride[0][inner] != 1 ||
      (loop.rank > 1 && loop.extent[inner] % pack != 0)) {
    return false;
  }
  for (size_t o = 0; o < Operands; ++o) {
    if (loop.stride[o][inner] == 0) {
      continue;
    }
    bool fits = loop.stride[o][inner] == 1 && aligned[o];
    for (size_t d = 0; d < inner; ++d) {
      fits = fits && loop.stride[o][d] % pack == 0;
    }
    if (!fits) {
      return false;
    }
  }
  return true;
}

}  // namespace warptape::mixed
