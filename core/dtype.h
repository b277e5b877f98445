#pragma once
// Element types and how a run-time type becomes a compile-time one.

#include <cstdint>
#include <iosfwd>
#include <string>
#include <type_traits>

#include "core/error.h"

namespace warptape {

enum class DType : uint8_t { Float32, Float64, UInt8, Int64 };

inline constexpr DType float32 = DType::Float32;
inline constexpr DType float64 = DType::Float64;
inline constexpr DType uint8 = DType::UInt8;
inline constexpr DType int64 = DType::Int64;

constexpr int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::Float32:
      return 4;
    case DType::UInt8:
      return 1;
    case DType::Float64:
    case DType::Int64:
      return 8;
  }
  return 0;
}

constexpr bool is_floating(DType dtype) {
  return dtype == DType::Float32 || dtype == DType::Float64;
}

constexpr const char* to_string(DType dtype) {
  switch (dtype) {
    case DType::Float32:
      return "float32";
    case DType::Float64:
      return "float64";
    case DType::UInt8:
      return "uint8";
    case DType::Int64:
      return "int64";
  }
  return "?";
}

std::ostream& operator<<(std::ostream& out, DType dtype);

// The DType of a C++ element type.
template <class T>
constexpr DType dtype_of() {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<U, float>) {
    return DType::Float32;
  } else if constexpr (std::is_same_v<U, double>) {
    return DType::Float64;
  } else if constexpr (std::is_same_v<U, uint8_t>) {
    return DType::UInt8;
  } else {
    static_assert(std::is_same_v<U, int64_t>, "not an element type of a Tensor");
    return DType::Int64;
  }
}

// Calls function.operator()<T>() with the element type of a floating dtype.
template <class F>
decltype(auto) dispatch_floating(DType dtype, F&& function) {
  check<DTypeError>(is_floating(dtype), "dtype: got {}, wanted float32 or float64",
                    to_string(dtype));
  if (dtype == DType::Float64) {
    return function.template operator()<double>();
  }
  return function.template operator()<float>();
}

// The same for every dtype.
template <class F>
decltype(auto) dispatch_all(DType dtype, F&& function) {
  switch (dtype) {
    case DType::UInt8:
      return function.template operator()<uint8_t>();
    case DType::Int64:
      return function.template operator()<int64_t>();
    case DType::Float64:
      return function.template operator()<double>();
    case DType::Float32:
      break;
  }
  return function.template operator()<float>();
}

}  // namespace warptape
