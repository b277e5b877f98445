#include "core/simt/bfloat16.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace warptape::simt {
namespace {

// The definition, by distances in double: the nearest bfloat16, of two equally near ones the even
// one, infinity from half a unit above the largest on.
uint16_t reference(float value) {
  const auto wide = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(wide >> 16 & 0x8000);
  if (std::isnan(value)) {
    return 0x7FFF;
  }
  const double magnitude = std::abs(double{value});
  const auto of_bits = [](uint32_t bits) {
    // Beyond the largest comes what would be the next power of two.
    return bits == 0x7F80 ? std::ldexp(1.0, 128) : double{std::bit_cast<float>(bits << 16)};
  };
  const uint32_t below = wide >> 16 & 0x7FFF;
  if (below == 0x7F80) {
    return sign | 0x7F80;
  }
  const double to_below = magnitude - of_bits(below);
  const double to_above = of_bits(below + 1) - magnitude;
  const bool up = to_above < to_below || (to_above == to_below && below % 2 == 1);
  return static_cast<uint16_t>(sign | (below + (up ? 1 : 0)));
}

void expect_rounded(uint32_t wide) {
  const auto value = std::bit_cast<float>(wide);
  ASSERT_EQ(bfloat16(value).bits, reference(value)) << std::hex << wide;
}

// Every upper half (sign, exponent and kept bits) with the lower halves around which rounding
// turns.
TEST(Bfloat16, RoundsToNearestEven) {
  for (uint32_t upper = 0; upper <= 0xFFFF; ++upper) {
    for (uint32_t lower :
         {0x0000u, 0x0001u, 0x1234u, 0x7FFFu, 0x8000u, 0x8001u, 0xABCDu, 0xFFFFu}) {
      expect_rounded(upper << 16 | lower);
    }
  }
}

// A stride that is a prime visits all exponents with ever other mantissas.
TEST(Bfloat16, RoundsDenselySampledFloats) {
  for (uint64_t wide = 0; wide <= 0xFFFFFFFF; wide += 997) {
    expect_rounded(static_cast<uint32_t>(wide));
  }
}

TEST(Bfloat16, NotANumberInfinityAndZero) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(bfloat16(std::numeric_limits<float>::quiet_NaN()).bits, 0x7FFF);
  EXPECT_EQ(bfloat16(-std::numeric_limits<float>::quiet_NaN()).bits, 0x7FFF);
  EXPECT_EQ(bfloat16(std::bit_cast<float>(0x7F800001u)).bits, 0x7FFF);  // must not become infinity
  EXPECT_EQ(bfloat16(infinity).bits, 0x7F80);
  EXPECT_EQ(bfloat16(-infinity).bits, 0xFF80);
  EXPECT_EQ(bfloat16(std::numeric_limits<float>::max()).bits, 0x7F80);
  EXPECT_EQ(bfloat16(-0.0f).bits, 0x8000);
  EXPECT_EQ(bfloat16().bits, 0);
}

TEST(Bfloat16, WideningAndBackIsExact) {
  for (uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    bfloat16 value;
    value.bits = static_cast<uint16_t>(bits);
    const auto wide = static_cast<float>(value);
    EXPECT_EQ(std::bit_cast<uint32_t>(wide), bits << 16);
    if (!std::isnan(wide)) {
      EXPECT_EQ(bfloat16(wide).bits, bits);
    }
  }
}

}  // namespace
}  // namespace warptape::simt
