#pragma once
// bfloat16 as a storage type: the upper half of a float. It reads as a float, so that arithmetic is
// float's, and is written on purpose only: a sum kept in a variable of this type does not compile.
// Rounds to nearest, ties to even; a NaN becomes the quiet NaN 0x7FFF, as in cuda_bf16.h. Our own
// type, because that one needs the toolkit.

#include <cstdint>
#include <cstring>
#include <limits>

#include "core/simt/host_device.h"

namespace warptape::simt {

struct bfloat16 {
  uint16_t bits = 0;

  bfloat16() = default;
  WARPTAPE_HOST_DEVICE explicit bfloat16(float value) {
    uint32_t wide;
    memcpy(&wide, &value, sizeof wide);
    const bool is_nan = (wide & 0x7FFFFFFFu) > 0x7F800000u;
    // Half a unit of the last place kept, less one where that place is even.
    const uint32_t rounded = wide + 0x7FFFu + ((wide >> 16) & 1u);
    bits = is_nan ? uint16_t{0x7FFF} : static_cast<uint16_t>(rounded >> 16);
  }
  WARPTAPE_HOST_DEVICE operator float() const {
    const uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
  }
  static constexpr bfloat16 from_bits(uint16_t bits) {
    bfloat16 value;
    value.bits = bits;
    return value;
  }
};

}  // namespace warptape::simt

template <>
struct std::numeric_limits<warptape::simt::bfloat16> {
  static constexpr bool is_specialized = true;
  static constexpr bool is_signed = true;
  static constexpr bool is_integer = false;
  static constexpr bool has_infinity = true;
  static constexpr bool has_quiet_NaN = true;
  static constexpr int digits = 8;  // with the leading one, which is not stored
  static constexpr int max_exponent = 128;
  static constexpr warptape::simt::bfloat16 min() {
    return warptape::simt::bfloat16::from_bits(0x0080);
  }
  static constexpr warptape::simt::bfloat16 max() {
    return warptape::simt::bfloat16::from_bits(0x7F7F);
  }
  static constexpr warptape::simt::bfloat16 lowest() {
    return warptape::simt::bfloat16::from_bits(0xFF7F);
  }
  static constexpr warptape::simt::bfloat16 epsilon() {
    return warptape::simt::bfloat16::from_bits(0x3C00);
  }
  static constexpr warptape::simt::bfloat16 infinity() {
    return warptape::simt::bfloat16::from_bits(0x7F80);
  }
  static constexpr warptape::simt::bfloat16 quiet_NaN() {
    return warptape::simt::bfloat16::from_bits(0x7FFF);
  }
};
