#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace warptape {

// A code point at the start of a text; size 0 where the text does not begin with UTF-8.
struct Utf8Character {
  uint32_t code = 0;
  size_t size = 0;  // bytes
};

// text: not empty
Utf8Character first_character(std::string_view text);

// Its bytes; code: a code point, as first_character gives them.
std::string to_utf8(uint32_t code);

}  // namespace warptape
