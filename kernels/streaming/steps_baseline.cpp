// Steps by vectors of 16 bytes, in the compiler's own words: for every processor.

#include "kernels/streaming/step_kernels.h"

#include <cstddef>

namespace warptape::streaming::baseline {
namespace {

constexpr int rows_at_once = 4;

template <class T>
struct Of {
  typedef T Vector __attribute__((vector_size(16)));
  static constexpr int64_t lanes = 16 / sizeof(T);

  static Vector load(const T* from) {
    Vector value;
    __builtin_memcpy(&value, from, sizeof(value));
    return value;
  }
  static void store(T* to, Vector value) { __builtin_memcpy(to, &value, sizeof(value)); }
  static Vector broadcast(T value) { return value - Vector{}; }
  static Vector add(Vector a, Vector b) { return a + b; }
  static Vector fused(Vector a, Vector b, Vector c) { return a * b + c; }
};

}  // namespace

#include "kernels/streaming/step_kernels.inc"

}  // namespace warptape::streaming::baseline
