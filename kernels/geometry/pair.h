#pragma once
#include <compare>
#include <cstdint>
#include <string>

namespace warptape {

// A setting per spatial dimension, height first; one number stands for both.
struct Pair {
  int64_t height = 0;
  int64_t width = 0;

  constexpr Pair() = default;
  constexpr Pair(int64_t both) : height(both), width(both) {}
  constexpr Pair(int64_t height, int64_t width) : height(height), width(width) {}
  constexpr auto operator<=>(const Pair& other) const = default;

  std::string to_string() const {  // "(3, 3)"
    return "(" + std::to_string(height) + ", " + std::to_string(width) + ")";
  }
  std::string to_short_string() const {  // "3" where both are equal
    return height == width ? std::to_string(height) : to_string();
  }
};

}  // namespace warptape
