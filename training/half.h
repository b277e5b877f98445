#pragma once
// Two-byte floating point that only files hold.

#include <bit>
#include <cstdint>

namespace warptape {

// IEEE binary16. A float32 holds every value exactly.
inline float from_float16(uint16_t bits) {
  const uint32_t sign = (uint32_t{bits} & 0x8000U) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fU;
  const uint32_t mantissa = bits & 0x3ffU;
  if (exponent == 0x1f) {  // infinity or NaN
    return std::bit_cast<float>(sign | 0x7f800000U | mantissa << 13);
  }
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24
    const float value = static_cast<float>(mantissa) * 0x1p-24F;
    return sign ? -value : value;
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

}  // namespace warptape
