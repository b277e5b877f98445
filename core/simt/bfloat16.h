#pragma once
// bfloat16 as a storage type: the upper half of a float. Arithmetic is float's. Rounds to nearest,
// ties to even; a NaN becomes the quiet NaN 0x7FFF, as in cuda_bf16.h. Our own type, because
// that one needs the toolkit.

#include <cstdint>
#include <cstring>

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
  WARPTAPE_HOST_DEVICE explicit operator float() const {
    const uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
  }
};

}  // namespace warptape::simt
