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
// As on the engine, which has no atomics of a scope of their own.
template <class T, class Value>
__device__ T no_scoped_atomic(T*, Value) {
  static_assert(sizeof(T) == 0, "atomics of block or system scope are not in the vocabulary");
}

}  // namespace warptape::simt

#define atomicAdd(...) ::warptape::simt::integer_atomic_add(__VA_ARGS__)
#define atomicExch(...) ::warptape::simt::integer_atomic_exch(__VA_ARGS__)
#define atomicAdd_block(...) ::warptape::simt::no_scoped_atomic(__VA_ARGS__)
#define atomicAdd_system(...) ::warptape::simt::no_scoped_atomic(__VA_ARGS__)
#define atomicExch_block(...) ::warptape::simt::no_scoped_atomic(__VA_ARGS__)
#define atomicExch_system(...) ::warptape::simt::no_scoped_atomic(__VA_ARGS__)
