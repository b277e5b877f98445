#pragma once
// What the vocabulary adds to CUDA under nvcc.

#include <type_traits>

#define WARPTAPE_SHARED(type, name, ...) __shared__ alignas(16) type name __VA_ARGS__

namespace warptape::simt {

template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char warptape_dynamic_shared[];
  return reinterpret_cast<T*>(warptape_dynamic_shared);
}

// A sum of floats in the order of arrival is not deterministic: floating-point atomics do not
// compile.
template <class T, class Value>
__device__ T integer_atomic_add(T* address, Value value) {
  static_assert(std::is_integral_v<T>, "atomics are for integers");
  return ::atomicAdd(address, static_cast<T>(value));
}
template <class T, class Value>
__device__ T integer_atomic_exch(T* address, Value value) {
  static_assert(std::is_integral_v<T>, "atomics are for integers");
  return ::atomicExch(address, static_cast<T>(value));
}

}  // namespace warptape::simt

#define atomicAdd(...) ::warptape::simt::integer_atomic_add(__VA_ARGS__)
#define atomicExch(...) ::warptape::simt::integer_atomic_exch(__VA_ARGS__)
