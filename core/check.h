#pragma once
// Checks of what public functions are given, and messages that format our types. For .cpp files
// alone, so that who includes our headers does not compile fmt with them. What a template or an
// inline function finds wrong, a function in the .cpp file beside it says.

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "core/error.h"

namespace warptape {

class Shape;

// Throws E with the formatted message unless `condition` holds.
template <class E = Error, class... Args>
void check(bool condition, fmt::format_string<Args...> message, Args&&... args) {
  if (!condition) [[unlikely]] {
    throw E(fmt::format(message, std::forward<Args>(args)...));
  }
}

// The same with the caller's place at the end of the message.
template <class E = Error, class... Args>
void check(bool condition, const Site& site, fmt::format_string<Args...> message, Args&&... args) {
  if (!condition) [[unlikely]] {
    throw E(fmt::format(message, std::forward<Args>(args)...) + at(site));
  }
}

}  // namespace warptape

template <>
struct fmt::formatter<warptape::Shape> : fmt::formatter<std::string_view> {
  fmt::format_context::iterator format(const warptape::Shape& shape,
                                       fmt::format_context& context) const;
};
