#pragma once
// Element types and how a run-time type becomes a compile-time one. The types themselves are listed
// in element_types.h.

#include <cstdint>
#include <iosfwd>
#include <string>
#include <type_traits>

#include "core/element_types.h"
#include "core/error.h"

namespace warptape {

enum class DType : uint8_t {
#define WARPTAPE_DTYPE(dtype, T, name) dtype,
  WARPTAPE_DTYPES(WARPTAPE_DTYPE)
#undef WARPTAPE_DTYPE
};

// float32, float64, ...
#define WARPTAPE_DTYPE(dtype, T, name) inline constexpr DType name = DType::dtype;
WARPTAPE_DTYPES(WARPTAPE_DTYPE)
#undef WARPTAPE_DTYPE

constexpr int64_t size_of(DType of) {
  switch (of) {
#define WARPTAPE_DTYPE(dtype, T, name) \
  case DType::dtype:                   \
    return sizeof(T);
    WARPTAPE_DTYPES(WARPTAPE_DTYPE)
#undef WARPTAPE_DTYPE
  }
  return 0;
}

constexpr bool is_floating(DType of) {
  switch (of) {
#define WARPTAPE_DTYPE(dtype, T, name) case DType::dtype:
    WARPTAPE_FLOATING_DTYPES(WARPTAPE_DTYPE)
#undef WARPTAPE_DTYPE
    return true;
    default:
      return false;
  }
}

constexpr const char* to_string(DType of) {
  switch (of) {
#define WARPTAPE_DTYPE(dtype, T, name) \
  case DType::dtype:                   \
    return #name;
    WARPTAPE_DTYPES(WARPTAPE_DTYPE)
#undef WARPTAPE_DTYPE
  }
  return "?";
}

std::ostream& operator<<(std::ostream& out, DType dtype);

// "float32 or float64", for messages: the names, each behind " or ", and without the first of
// these.
#define WARPTAPE_DTYPE(dtype, T, name) " or " #name
inline constexpr const char* floating_dtype_names = &(WARPTAPE_FLOATING_DTYPES(WARPTAPE_DTYPE))[4];
#undef WARPTAPE_DTYPE

namespace detail {
template <class T>
inline constexpr bool is_element_type = false;
template <class T>
inline constexpr DType dtype_of_type{};
#define WARPTAPE_DTYPE(dtype, T, name)             \
  template <>                                      \
  inline constexpr bool is_element_type<T> = true; \
  template <>                                      \
  inline constexpr DType dtype_of_type<T> = DType::dtype;
WARPTAPE_DTYPES(WARPTAPE_DTYPE)
#undef WARPTAPE_DTYPE

// DTypeError.
[[noreturn]] void refuse_dtype(DType got, const char* wanted);
[[noreturn]] void refuse_no_dtype(DType got);
}  // namespace detail

// The DType of a C++ element type.
template <class T>
constexpr DType dtype_of() {
  using U = std::remove_cv_t<T>;
  static_assert(detail::is_element_type<U>, "not an element type of a Tensor");
  return detail::dtype_of_type<U>;
}

// What arithmetic with elements of this dtype is done in: float32 for bfloat16, else itself.
constexpr DType compute_dtype(DType of) {
  switch (of) {
#define WARPTAPE_DTYPE(dtype, T, name) \
  case DType::dtype:                   \
    return dtype_of<Compute<T>>();
    WARPTAPE_DTYPES(WARPTAPE_DTYPE)
#undef WARPTAPE_DTYPE
  }
  return of;
}

// Calls function.operator()<T>() with the element type of a floating dtype.
template <class F>
decltype(auto) dispatch_floating(DType of, F&& function) {
  switch (of) {
#define WARPTAPE_DTYPE(dtype, T, name) \
  case DType::dtype:                   \
    return function.template operator()<T>();
    WARPTAPE_FLOATING_DTYPES(WARPTAPE_DTYPE)
#undef WARPTAPE_DTYPE
    default:
      detail::refuse_dtype(of, floating_dtype_names);
  }
}

// As dispatch_floating, for the dtypes that arithmetic is done in: a bfloat16 tensor has been
// widened before (widened.h).
template <class F>
decltype(auto) dispatch_computed(DType of, F&& function) {
  return dispatch_floating(of, [&]<class T>() {
    if (dtype_of<T>() != compute_dtype(of)) {
      detail::refuse_dtype(of, to_string(compute_dtype(of)));
    }
    return function.template operator()<Compute<T>>();
  });
}

// Calls it with each of these types: for lists of tensors of any floating dtype.
template <class F>
void for_each_floating(F&& function) {
#define WARPTAPE_DTYPE(dtype, T, name) function.template operator()<T>();
  WARPTAPE_FLOATING_DTYPES(WARPTAPE_DTYPE)
#undef WARPTAPE_DTYPE
}

// As dispatch_floating, for every dtype.
template <class F>
decltype(auto) dispatch_all(DType of, F&& function) {
  switch (of) {
#define WARPTAPE_DTYPE(dtype, T, name) \
  case DType::dtype:                   \
    return function.template operator()<T>();
    WARPTAPE_DTYPES(WARPTAPE_DTYPE)
#undef WARPTAPE_DTYPE
  }
  detail::refuse_no_dtype(of);
}

}  // namespace warptape
