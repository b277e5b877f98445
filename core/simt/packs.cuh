#pragma once
// Packs of E elements: E is pack_size<T>, 16 bytes, or 1 where sizes or addresses allow no more. A
// kernel written for both is a template of E. A pack of a wider type beside them, of as many
// elements, is several times 16 bytes.

#include "core/simt/simt.h"

namespace warptape::simt {

template <int E, class T>
__device__ Pack<T, E> load_pack(const T* pointer) {
  if constexpr (E == 1) {
    return {*pointer};
  } else if constexpr (E == pack_size<T>) {
    return load16(pointer);
  } else {
    Pack<T, E> result;
#pragma unroll
    for (int first = 0; first < E; first += pack_size<T>) {
      const Pack16<T> part = load16(pointer + first);
#pragma unroll
      for (int e = 0; e < pack_size<T>; ++e) {
        result[first + e] = part[e];
      }
    }
    return result;
  }
}

template <int E, class T>
__device__ void store_pack(T* pointer, const Pack<T, E>& value) {
  if constexpr (E == 1) {
    *pointer = value[0];
  } else if constexpr (E == pack_size<T>) {
    store16(pointer, value);
  } else {
#pragma unroll
    for (int first = 0; first < E; first += pack_size<T>) {
      Pack16<T> part;
#pragma unroll
      for (int e = 0; e < pack_size<T>; ++e) {
        part[e] = value[first + e];
      }
      store16(pointer + first, part);
    }
  }
}

template <class To, class From, int E>
__device__ Pack<To, E> cast_pack(const Pack<From, E>& from) {
  Pack<To, E> result;
#pragma unroll
  for (int e = 0; e < E; ++e) {
    result[e] = static_cast<To>(from[e]);
  }
  return result;
}

template <int E, class T>
__device__ Pack<T, E> repeat_pack(T value) {
  Pack<T, E> result;
#pragma unroll
  for (int e = 0; e < E; ++e) {
    result[e] = value;
  }
  return result;
}

}  // namespace warptape::simt
