#pragma once
// The element types of tensors: a line each, from which all else that lists them is made (dtype.h,
// and the kernels that are instantiated for them).
//
// X(enumerator of DType, C++ type, name, which is PyTorch's)

#include <cstdint>

// clang-format off
#define WARPTAPE_FLOATING_DTYPES(X) \
  X(Float32, float, float32)        \
  X(Float64, double, float64)

#define WARPTAPE_INTEGER_DTYPES(X)  \
  X(UInt8, uint8_t, uint8)          \
  X(Int64, int64_t, int64)

#define WARPTAPE_DTYPES(X)          \
  WARPTAPE_FLOATING_DTYPES(X)       \
  WARPTAPE_INTEGER_DTYPES(X)
// clang-format on
