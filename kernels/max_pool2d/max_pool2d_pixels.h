#pragma once
// One window of max pooling, all channels at a time: loops that the compiler turns into vectors,
// once per instruction set. For max_pool2d_cpu.cpp alone. bfloat16 is compared as float and moved
// as bits: nothing is rounded, so nothing has to be widened in memory.

#include <bit>
#include <cstdint>

#include "core/clones.h"
#include "core/simt/bfloat16.h"

namespace warptape {
namespace {

WARPTAPE_INLINE float as_float(float value) {
  return value;
}
WARPTAPE_INLINE float as_float(simt::bfloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}
WARPTAPE_INLINE double as_float(double value) {
  return value;
}

WARPTAPE_INLINE void keep(float value, float& to) {
  to = value;
}
// Of a float that was a bfloat16.
WARPTAPE_INLINE void keep(float value, simt::bfloat16& to) {
  to.bits = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
}
WARPTAPE_INLINE void keep(double value, double& to) {
  to = value;
}

// Whether value replaces best. !(value <= best) also lets a NaN win; once best is one, only another
// NaN could replace it.
template <class Wide>
WARPTAPE_INLINE bool wins(Wide value, Wide best) {
  return !(value <= best) && best == best;
}

// Folds one pixel into the running maxima of its window. best starts as -infinity, index as
// anything.
template <class T, class Index>
WARPTAPE_INLINE void fold_pixel(const T* __restrict pixel, int64_t channels, Index tap,
                                T* __restrict best, Index* __restrict index) {
  for (int64_t c = 0; c < channels; ++c) {
    const auto value = as_float(pixel[c]);
    const auto so_far = as_float(best[c]);
    const bool larger = wins(value, so_far);
    keep(larger ? value : so_far, best[c]);
    index[c] = larger ? tap : index[c];
  }
}

// A window of two by two pixels in one pass, with ReLU where it is wanted. The index is kept in 32
// bits until it is written, as wide as what is compared.
template <bool with_relu, class T>
WARPTAPE_INLINE void fold_square_as(const T* const pixels[4], int64_t channels, T* __restrict best,
                                    uint8_t* __restrict index) {
  const T* __restrict first = pixels[0];
  const T* __restrict second = pixels[1];
  const T* __restrict third = pixels[2];
  const T* __restrict fourth = pixels[3];
  for (int64_t c = 0; c < channels; ++c) {
    float most = as_float(first[c]);
    int32_t at = 0;
    const float value1 = as_float(second[c]);
    const bool larger1 = wins(value1, most);
    most = larger1 ? value1 : most;
    at = larger1 ? 1 : at;
    const float value2 = as_float(third[c]);
    const bool larger2 = wins(value2, most);
    most = larger2 ? value2 : most;
    at = larger2 ? 2 : at;
    const float value3 = as_float(fourth[c]);
    const bool larger3 = wins(value3, most);
    most = larger3 ? value3 : most;
    at = larger3 ? 3 : at;
    if constexpr (with_relu) {
      at = most <= 0 ? 4 : at;
      most = most <= 0 ? 0.0F : most;
    }
    keep(most, best[c]);
    index[c] = static_cast<uint8_t>(at);
  }
}

template <class T>
WARPTAPE_INLINE void fold_square(const T* const pixels[4], int64_t channels, bool with_relu,
                                 T* best, uint8_t* index) {
  if (with_relu) {
    fold_square_as<true>(pixels, channels, best, index);
  } else {
    fold_square_as<false>(pixels, channels, best, index);
  }
}

// The gradient of one pixel of disjoint windows.
template <class T, class Index>
WARPTAPE_INLINE void spread_pixel(const T* __restrict dy, const Index* __restrict index,
                                  int64_t channels, Index tap, T* __restrict dx) {
  for (int64_t c = 0; c < channels; ++c) {
    dx[c] = index[c] == tap ? dy[c] : T{};
  }
}

template <class Bits, class T>
WARPTAPE_INLINE void spread_bits(const T* __restrict dy, const uint8_t* __restrict index,
                                 int64_t channels, uint8_t tap, T* __restrict dx) {
  for (int64_t c = 0; c < channels; ++c) {
    // By bits, of one width: the vectors of a byte and of an element would not fit each other.
    const auto is_here = static_cast<Bits>(Bits{index[c]} == Bits{tap} ? ~Bits{0} : Bits{0});
    dx[c] = std::bit_cast<T>(static_cast<Bits>(std::bit_cast<Bits>(dy[c]) & is_here));
  }
}

// The usual types once per instruction set; overload resolution prefers these.
WARPTAPE_CLONES void fold_pixel(const float* __restrict pixel, int64_t channels, uint8_t tap,
                                float* __restrict best, uint8_t* __restrict index) {
  fold_pixel<float, uint8_t>(pixel, channels, tap, best, index);
}
WARPTAPE_CLONES void fold_pixel(const simt::bfloat16* __restrict pixel, int64_t channels,
                                uint8_t tap, simt::bfloat16* __restrict best,
                                uint8_t* __restrict index) {
  fold_pixel<simt::bfloat16, uint8_t>(pixel, channels, tap, best, index);
}
WARPTAPE_CLONES void fold_windows(const float* const pixels[4], int64_t channels, bool with_relu,
                                  float* best, uint8_t* index) {
  fold_square(pixels, channels, with_relu, best, index);
}
WARPTAPE_CLONES void fold_windows(const simt::bfloat16* const pixels[4], int64_t channels,
                                  bool with_relu, simt::bfloat16* best, uint8_t* index) {
  fold_square(pixels, channels, with_relu, best, index);
}
WARPTAPE_CLONES void spread_pixel(const float* __restrict dy, const uint8_t* __restrict index,
                                  int64_t channels, uint8_t tap, float* __restrict dx) {
  spread_bits<uint32_t>(dy, index, channels, tap, dx);
}
WARPTAPE_CLONES void spread_pixel(const simt::bfloat16* __restrict dy,
                                  const uint8_t* __restrict index, int64_t channels, uint8_t tap,
                                  simt::bfloat16* __restrict dx) {
  spread_bits<uint16_t>(dy, index, channels, tap, dx);
}

}  // namespace
}  // namespace warptape
