#pragma once
// Zeros around a tensor, as options of convolutions take them.

#include <compare>
#include <cstdint>
#include <span>
#include <string>

#include "kernels/geometry/pair.h"

namespace warptape {

// Zeros beside one axis.
//   Given: these numbers
//   Same: as many as give a window for every element with stride 1; an odd one lies behind
//   Causal: all of those in front, so that a window ends at its element and sees none behind it
struct AxisPadding {
  enum class Rule : uint8_t { Given, Same, Causal };

  int64_t before = 0;
  int64_t after = 0;
  Rule rule = Rule::Given;

  constexpr auto operator<=>(const AxisPadding&) const = default;
};

// What a caller asks of one spatial axis.
struct WindowOptions {
  int64_t stride = 1;
  AxisPadding padding = {};
  int64_t dilation = 1;
};

// "(1, 2)" where the sides of each axis are equal, "((1, 0), (2, 2))" where not, before and after;
// "same" or "causal" where that is the rule.
std::string to_string(std::span<const AxisPadding> axes);

// Zeros on each side of a sequence: {.padding = Sides1d{.left = 2}}.
struct Sides1d {
  int64_t left = 0;
  int64_t right = 0;
};

// Zeros around a sequence, as an option takes them: {.padding = 1} on both sides, {.padding =
// Sides1d{...}}, {.padding = Padding1d::same()} or {.padding = Padding1d::causal()}.
struct Padding1d {
  AxisPadding axis;

  constexpr Padding1d() = default;
  constexpr Padding1d(int64_t both) : axis{both, both} {}
  constexpr Padding1d(const Sides1d& sides) : axis{sides.left, sides.right} {}
  static constexpr Padding1d same() { return of(AxisPadding::Rule::Same); }
  static constexpr Padding1d causal() { return of(AxisPadding::Rule::Causal); }

  constexpr auto operator<=>(const Padding1d&) const = default;

  std::string to_string() const;

 private:
  static constexpr Padding1d of(AxisPadding::Rule rule) {
    Padding1d padding;
    padding.axis.rule = rule;
    return padding;
  }
};

// Zeros on each side of an image: {.padding = Sides2d{.top = 2, .left = 1}}.
struct Sides2d {
  int64_t top = 0;
  int64_t bottom = 0;
  int64_t left = 0;
  int64_t right = 0;
};

// Zeros around an image, as an option takes them: {.padding = 1} on all sides, {.padding = {1, 2}}
// of height and width, {.padding = Sides2d{...}} or {.padding = Padding2d::same()}.
struct Padding2d {
  AxisPadding vertical;
  AxisPadding horizontal;

  constexpr Padding2d() = default;
  constexpr Padding2d(int64_t all) : Padding2d(all, all) {}
  constexpr Padding2d(int64_t height, int64_t width)
      : vertical{height, height}, horizontal{width, width} {}
  constexpr Padding2d(const Pair& pair) : Padding2d(pair.height, pair.width) {}
  constexpr Padding2d(const Sides2d& sides)
      : vertical{sides.top, sides.bottom}, horizontal{sides.left, sides.right} {}
  static constexpr Padding2d same() {
    Padding2d padding;
    padding.vertical.rule = AxisPadding::Rule::Same;
    padding.horizontal.rule = AxisPadding::Rule::Same;
    return padding;
  }

  constexpr auto operator<=>(const Padding2d&) const = default;

  std::string to_string() const;
};

}  // namespace warptape
