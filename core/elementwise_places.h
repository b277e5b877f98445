#pragma once
// Where the threads of an element-by-element kernel work: geometry, from shapes and addresses
// alone. Plain numbers: passed to kernels, and tested on the host.

#include <algorithm>
#include <cstdint>

#include "core/simt/host_device.h"
#include "core/strided_loop.h"

namespace warptape::elementwise {

inline constexpr unsigned block_threads = 256;

// For functions without pointers, which are kernel arguments.
struct NoPointers {
  static constexpr bool moves = false;  // true: elements come out as they go in, bit for bit
  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

template <class In, int N>
struct Inputs {
  const In* data[N];

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    for (const In* pointer : data) {
      visit(pointer);
    }
  }
};

// Contiguous elements as packs of 16 bytes, and the few before and behind that no pack covers: one
// per thread of the first block.
struct FlatRange : NoPointers {
  int64_t head = 0;  // elements before the packs
  int64_t packs = 0;
  int64_t ends = 0;  // elements before and behind
  int64_t tail_begin = 0;

  WARPTAPE_HOST_DEVICE int64_t end_element(int64_t i) const {
    return i < head ? i : tail_begin + i - head;
  }
};

inline uintptr_t misalignment(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % 16;
}

// Packs begin at the first element that is aligned.
template <class T>
FlatRange flat_range(const T* data, int64_t n) {
  constexpr int64_t pack = 16 / sizeof(T);
  FlatRange range;
  range.head = std::min<int64_t>(n, (16 - misalignment(data)) % 16 / sizeof(T));
  range.packs = (n - range.head) / pack;
  range.ends = n - range.packs * pack;
  range.tail_begin = range.head + range.packs * pack;
  return range;
}

// The places of the threads, counted in packs; operand 0 is the output. Dimension `walk` is divided
// into `groups`: a thread starts in one and goes on in steps of as many packs.
template <int Operands>
struct Places : NoPointers {
  int rank = 0;
  int walk = 0;
  int64_t threads = 0;
  int64_t groups = 0;
  int64_t walk_extent = 0;
  int64_t extent[max_rank] = {};            // `groups` in dimension `walk`
  int64_t stride[Operands][max_rank] = {};  // elements
  int64_t step[Operands] = {};              // elements from one place of a thread to the next
  bool repeats[Operands] = {};              // one element fills a pack
  FlatRange range;                          // where all operands are contiguous or one element
};

template <int E, int Operands>
Places<Operands> make_places(const StridedLoop<Operands>& loop) {
  Places<Operands> places;
  places.rank = std::max(loop.rank, 1);
  const int inner = places.rank - 1;
  bool some_input_repeats = false;
  for (int d = 0; d < places.rank; ++d) {
    const auto i = static_cast<size_t>(d);
    const int64_t extent = loop.rank == 0 ? 1 : loop.extent[i];
    places.extent[d] = d == inner ? extent / E : extent;
    for (size_t o = 0; o < Operands; ++o) {
      places.stride[o][d] = d == inner ? loop.stride[o][i] * E : loop.stride[o][i];
      if (d == inner) {
        places.repeats[o] = loop.stride[o][i] == 0;
        some_input_repeats = some_input_repeats || (o > 0 && places.repeats[o]);
      }
    }
  }
  // Along the inner dimension, or along the one around it if that is where an operand repeats.
  places.walk = some_input_repeats || places.rank == 1 ? inner : inner - 1;
  places.walk_extent = places.extent[places.walk];
  bool some_step_is_zero = false;
  for (int o = 1; o < Operands; ++o) {
    some_step_is_zero = some_step_is_zero || places.stride[o][places.walk] == 0;
  }
  // What is loaded once must be little against the rest; lines of 128 bytes stay together.
  const int64_t per_thread = some_step_is_zero ? 16 : 4;
  const int64_t line = 32 / std::min(E, 4);
  const int64_t neighbours = places.walk == inner ? std::min(places.walk_extent, line) : 1;
  places.groups = std::max((places.walk_extent + per_thread - 1) / per_thread, neighbours);
  places.extent[places.walk] = places.groups;
  places.threads = 1;
  for (int d = 0; d < places.rank; ++d) {
    places.threads *= places.extent[d];
  }
  for (int o = 0; o < Operands; ++o) {
    places.step[o] = places.groups * places.stride[o][places.walk];
  }
  return places;
}

// Whether packs of E elements are contiguous, whole and aligned for every operand that has them.
template <int E, int Operands>
bool fits_packs(const StridedLoop<Operands>& loop, const bool (&aligned)[Operands]) {
  const auto inner = static_cast<size_t>(loop.rank - 1);
  if (loop.rank == 0 || loop.extent[inner] % E != 0 || loop.stride[0][inner] != 1) {
    return false;
  }
  for (size_t o = 0; o < Operands; ++o) {
    if (loop.stride[o][inner] == 0) {
      continue;
    }
    bool fits = loop.stride[o][inner] == 1 && aligned[o];
    for (size_t d = 0; d < inner; ++d) {
      fits = fits && loop.stride[o][d] % E == 0;
    }
    if (!fits) {
      return false;
    }
  }
  return true;
}

// Over n contiguous elements of every operand.
template <int Operands>
StridedLoop<Operands> flat_loop(int64_t n) {
  StridedLoop<Operands> loop;
  loop.rank = 1;
  loop.extent[0] = n;
  for (Strides& stride : loop.stride) {
    stride[0] = 1;
  }
  return loop;
}

// Every operand is contiguous or one element.
template <int Operands>
bool is_flat(const StridedLoop<Operands>& loop) {
  if (loop.rank > 1 || (loop.rank == 1 && loop.stride[0][0] != 1)) {
    return false;
  }
  return std::all_of(loop.stride.begin(), loop.stride.end(),
                     [](const Strides& stride) { return stride[0] == 0 || stride[0] == 1; });
}

}  // namespace warptape::elementwise
