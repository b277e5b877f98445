#pragma once
// Packs of E elements: E is pack_size<T>, 16 bytes, or 1 where sizes or addresses allow no more. A
// kernel written for both is a template of E.

#include "core/simt/simt.h"

namespace warptape::simt {

template <int E, class T>
__device__ Pack<T, E> load_pack(const T* pointer) {
  if constexpr (E == 1) {
    return {*pointer};
  } else {
    return load16(pointer);
  }
}

template <int E, class T>
__device__ void store_pack(T* pointer, const Pack<T, E>& value) {
  if constexpr (E == 1) {
    *pointer = value[0];
  } else {
    store16(pointer, value);
  }
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
