#pragma once
// How the largest of windows leave the chip: through shared memory, from which threads take 16
// bytes of results, and of indices, in the order of memory, whichever that is.

#include "core/simt/packs.cuh"
#include "kernels/matrix/output.h"

namespace warptape::matrix {

// Of windows that follow each other, in neighbouring columns. Columns are exchanged such that
// neither way of reading, along columns or along windows, meets a bank twice, nor does writing.
template <class T, int Windows, int Columns>
struct PooledSlab {
  static constexpr int pack = 16 / static_cast<int>(sizeof(T));
  static constexpr int windows = Windows;
  static constexpr int columns = Columns;
  T* values;         // of Windows * Columns
  uint8_t* indices;  // of as many, aligned to 16 bytes

  __device__ T* value(int window, int column) const {
    // Columns whose windows a warp reads at once, by packs.
    constexpr int at_once = 32 * pack / Windows;
    constexpr int apart = at_once < pack ? pack : at_once;
    return values + window * Columns + (column ^ window / pack * apart % 32);
  }
  __device__ uint8_t* index(int window, int column) const {
    constexpr int line = 128;  // bytes of all banks
    constexpr int word_packs = 32;
    const int from = window * Columns / line * word_packs % Columns;
    return indices + window * Columns + (column ^ from);
  }
  // Four neighbouring columns.
  __device__ void put(int window, int column, const simt::Pack<T, 4>& of_values,
                      const simt::Pack<uint8_t, 4>& of_indices) const {
    *reinterpret_cast<simt::Pack<T, 4>*>(value(window, column)) = of_values;
    *reinterpret_cast<simt::Pack<uint8_t, 4>*>(index(window, column)) = of_indices;
  }
};

// Where a slab's windows and columns lie in the result.
struct PooledPlace {
  int window;
  int group;
  int column;  // of the group
};

namespace pooled_detail {

template <int E, int Threads, class T, class Slab>
__device__ void store_by_rows(const PooledOutput<T>& out, const Slab& slab,
                              const PooledPlace& first) {
  constexpr int packs = Slab::windows / E;
  const auto windows = static_cast<int>(out.rows.windows());
  for (int item = static_cast<int>(threadIdx.x); item < packs * Slab::columns; item += Threads) {
    const int own = item % packs * E;
    const int column = item / packs;
    if (first.window + own < windows && first.column + column < out.columns) {
      simt::Pack<T, E> values;
#pragma unroll
      for (int e = 0; e < E; ++e) {
        values[e] = *slab.value(own + e, column);
      }
      const int channel = first.group * out.columns + first.column + column;
      simt::store_pack<E>(out.data + out.place(first.window + own, channel, true), values);
    }
  }
}

// Of results or of indices: from(window, column) is where they wait.
template <int E, int Threads, class Slab, class T, class Element, class From>
__device__ void store_by_windows(const PooledOutput<T>& out, const PooledPlace& first, Element* to,
                                 const From& from) {
  constexpr int packs = Slab::columns / E;
  const auto windows = static_cast<int>(out.rows.windows());
  for (int item = static_cast<int>(threadIdx.x); item < packs * Slab::windows; item += Threads) {
    const int own = item % packs * E;
    const int window = item / packs;
    if (first.window + window < windows && first.column + own < out.columns) {
      const int channel = first.group * out.columns + first.column + own;
      simt::store_pack<E>(to + out.place(first.window + window, channel, false),
                          simt::load_pack<E>(from(window, own)));
    }
  }
}

}  // namespace pooled_detail

// Stores a slab. All threads of the block take part, behind a barrier.
template <int Threads, class T, class Slab>
__device__ void store_pooled(const PooledOutput<T>& out, const Slab& slab,
                             const PooledPlace& first) {
  using namespace pooled_detail;
  const auto value = [&](int window, int column) { return slab.value(window, column); };
  const auto index = [&](int window, int column) { return slab.index(window, column); };
  if (out.by_rows) {
    if (out.packs) {
      store_by_rows<Slab::pack, Threads>(out, slab, first);
    } else {
      store_by_rows<1, Threads>(out, slab, first);
    }
  } else if (out.packs) {
    store_by_windows<Slab::pack, Threads, Slab>(out, first, out.data, value);
  } else {
    store_by_windows<1, Threads, Slab>(out, first, out.data, value);
  }
  if (out.indices == nullptr) {
    return;
  }
  if (out.index_packs) {
    store_by_windows<16, Threads, Slab>(out, first, out.indices, index);
  } else {
    store_by_windows<1, Threads, Slab>(out, first, out.indices, index);
  }
}

}  // namespace warptape::matrix
