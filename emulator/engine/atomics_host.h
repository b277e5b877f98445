#pragma once
// CUDA's atomics under a host compiler. They exist for integers only: a sum of floats in the order
// of arrival is not deterministic.

#include <atomic>
#include <type_traits>

namespace warptape::simt::engine {
template <class T>
concept AtomicInteger =
    std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, unsigned long long>;
template <AtomicInteger T, class Change>
T atomic_update(T* address, const Change& change) {
  std::atomic_ref<T> atomic(*address);
  T old = atomic.load(std::memory_order_relaxed);
  while (!atomic.compare_exchange_weak(old, change(old), std::memory_order_relaxed)) {
  }
  return old;
}
}  // namespace warptape::simt::engine

template <warptape::simt::engine::AtomicInteger T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_add(value, std::memory_order_relaxed);
}
template <warptape::simt::engine::AtomicInteger T>
T atomicSub(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_sub(value, std::memory_order_relaxed);
}
template <warptape::simt::engine::AtomicInteger T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).exchange(value, std::memory_order_relaxed);
}
template <warptape::simt::engine::AtomicInteger T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return warptape::simt::engine::atomic_update(address,
                                               [=](T old) { return value < old ? value : old; });
}
template <warptape::simt::engine::AtomicInteger T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return warptape::simt::engine::atomic_update(address,
                                               [=](T old) { return value > old ? value : old; });
}
// Both count to a limit and wrap around.
inline unsigned atomicInc(unsigned* address, unsigned last) {
  return warptape::simt::engine::atomic_update(
      address, [=](unsigned old) { return old >= last ? 0 : old + 1; });
}
inline unsigned atomicDec(unsigned* address, unsigned last) {
  return warptape::simt::engine::atomic_update(
      address, [=](unsigned old) { return old == 0 || old > last ? last : old - 1; });
}
template <warptape::simt::engine::AtomicInteger T>
T atomicAnd(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_and(value, std::memory_order_relaxed);
}
template <warptape::simt::engine::AtomicInteger T>
T atomicOr(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_or(value, std::memory_order_relaxed);
}
template <warptape::simt::engine::AtomicInteger T>
T atomicXor(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_xor(value, std::memory_order_relaxed);
}
template <warptape::simt::engine::AtomicInteger T>
T atomicCAS(T* address, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
  std::atomic_ref<T>(*address).compare_exchange_strong(compare, value, std::memory_order_relaxed);
  return compare;
}
