#pragma once
// The element types of tensors: a line each, from which all else that lists them is made (dtype.h,
// and the kernels that are instantiated for them).
//
// X(enumerator of DType, C++ type, name, which is PyTorch's)

#include <cstdint>

#include "core/simt/bfloat16.h"
#include "core/simt/host_device.h"

// clang-format off
#define WARPTAPE_FLOATING_DTYPES(X) \
  X(Float32, float, float32)        \
  X(Float64, double, float64)       \
  X(BFloat16, ::warptape::simt::bfloat16, bfloat16)

#define WARPTAPE_INTEGER_DTYPES(X)  \
  X(UInt8, uint8_t, uint8)          \
  X(Int64, int64_t, int64)

#define WARPTAPE_DTYPES(X)          \
  WARPTAPE_FLOATING_DTYPES(X)       \
  WARPTAPE_INTEGER_DTYPES(X)
// clang-format on

namespace warptape {

namespace detail {
template <class T>
struct ComputeOf {
  using Type = T;
};
template <>
struct ComputeOf<simt::bfloat16> {
  using Type = float;
};
}  // namespace detail

// What arithmetic with elements of T is done in; results are rounded to T where they are stored.
template <class T>
using Compute = typename detail::ComputeOf<T>::Type;

// What an element becomes that holds `old`, which is read only to add to it.
template <class T>
WARPTAPE_HOST_DEVICE T written(bool add, const T& old, Compute<T> value) {
  return static_cast<T>(add ? static_cast<Compute<T>>(old) + value : value);
}

}  // namespace warptape
