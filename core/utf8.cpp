#include "core/utf8.h"

#include <array>

namespace warptape {

Utf8Character first_character(std::string_view text) {
  const auto byte = [&](size_t i) { return uint32_t{static_cast<uint8_t>(text[i])}; };
  const uint32_t lead = byte(0);
  if (lead < 0x80) {
    return {lead, 1};
  }
  // The lead byte tells the length; whatever a shorter form could hold is no UTF-8.
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  constexpr std::array<uint32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) {
    return {};
  }
  uint32_t code = lead & (0x7fU >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) {
      return {};
    }
    code = code << 6 | (byte(i) & 0x3fU);
  }
  const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
  return code < least[size] || code > 0x10ffff || is_surrogate ? Utf8Character{}
                                                               : Utf8Character{code, size};
}

std::string to_utf8(uint32_t code) {
  const auto tail = [code](int shift) {
    return static_cast<char>(0x80U | (code >> shift & 0x3fU));
  };
  const auto lead = [code](uint32_t mark, int shift) {
    return static_cast<char>(mark | code >> shift);
  };
  if (code < 0x80) {
    return {static_cast<char>(code)};
  }
  if (code < 0x800) {
    return {lead(0xc0, 6), tail(0)};
  }
  if (code < 0x10000) {
    return {lead(0xe0, 12), tail(6), tail(0)};
  }
  return {lead(0xf0, 18), tail(12), tail(6), tail(0)};
}

}  // namespace warptape
