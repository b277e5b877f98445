#pragma once
// Many short rows at once through shared memory: packs on the way in and out, one thread per row
// between.

#include "core/element_types.h"
#include "core/simt/simt.h"

namespace warptape::rows {

// Both: `count` elements, both sides aligned to 16 bytes; all threads of the block call them.
template <class T>
__device__ void stage_in(T* shared, const T* global, int count) {
  constexpr int pack = simt::pack_size<T>;
  const int threads = static_cast<int>(blockDim.x);
  for (int i = static_cast<int>(threadIdx.x) * pack; i + pack <= count; i += threads * pack) {
    simt::store16(shared + i, simt::load16(global + i));
  }
  for (int i = count / pack * pack + static_cast<int>(threadIdx.x); i < count; i += threads) {
    shared[i] = global[i];
  }
}

template <class T>
__device__ void stage_out(T* global, const T* shared, int count, bool add) {
  constexpr int pack = simt::pack_size<T>;
  const int threads = static_cast<int>(blockDim.x);
  for (int i = static_cast<int>(threadIdx.x) * pack; i + pack <= count; i += threads * pack) {
    simt::Pack16<T> value = simt::load16(shared + i);
    if (add) {
      const simt::Pack16<T> old = simt::load16(global + i);
#pragma unroll
      for (int j = 0; j < pack; ++j) {
        value[j] = written(true, old[j], value[j]);
      }
    }
    simt::store16(global + i, value);
  }
  for (int i = count / pack * pack + static_cast<int>(threadIdx.x); i < count; i += threads) {
    global[i] = written(add, global[i], shared[i]);
  }
}

// Calls body(access) with the widest access that keeps 32 neighbouring rows of this length in 32
// different banks: an odd number of words between them. Rows of 4n + 2 floats go by pairs.
template <class T, class Body>
__device__ void for_bank_free_width(int length, const Body& body) {
  if constexpr (sizeof(T) == 4) {
    if (length % 2 == 0) {
      body.template operator()<2>();
      return;
    }
  }
  body.template operator()<1>();
}

}  // namespace warptape::rows
