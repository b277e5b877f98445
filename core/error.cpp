#include "core/error.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "core/utf8.h"

namespace warptape {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

// Control characters, and what is invisible, breaks the line or turns its direction around.
bool is_printable(uint32_t code) {
  constexpr std::array<Range, 12> hidden{{{0, 0x1f},
                                          {0x7f, 0x9f},
                                          {0xad, 0xad},      // soft hyphen
                                          {0x61c, 0x61c},    // Arabic letter mark
                                          {0x180e, 0x180e},  // Mongolian vowel separator
                                          {0x200b, 0x200b},  // zero width space
                                          {0x200e, 0x200f},  // left-to-right, right-to-left mark
                                          {0x2028, 0x202e},  // line ends, embeddings, overrides
                                          {0x2060, 0x206f},  // word joiner, isolates
                                          {0xfeff, 0xfeff},  // byte order mark
                                          {0xfff9, 0xfffb},  // annotations
                                          {0xe0000, 0xe0fff}}};  // tags
  for (const Range& range : hidden) {
    if (code >= range.first && code <= range.last) {
      return false;
    }
  }
  return true;
}

// `most` bytes of the result, and what `keep` names as it is.
std::string escape(std::string_view text, size_t most, std::string_view keep) {
  std::string result;
  while (!text.empty()) {
    if (result.size() >= most) {
      return result + "...";
    }
    const Utf8Character character = first_character(text);
    const size_t size = character.size == 0 ? 1 : character.size;
    if (keep.find(text[0]) != std::string_view::npos ||
        (character.size > 0 && is_printable(character.code))) {
      result += text.substr(0, size);
    } else if (character.size > 1) {
      result += character.code > 0xffff ? fmt::format("\\U{:08x}", character.code)
                                        : fmt::format("\\u{:04x}", character.code);
    } else {
      result += fmt::format("\\x{:02x}", static_cast<uint8_t>(text[0]));
    }
    text.remove_prefix(size);
  }
  return result;
}

}  // namespace

std::string escaped(std::string_view text) {
  return escape(text, std::string_view::npos, "");
}

std::string excerpt(std::string_view text) {
  return escape(text, 80, "");
}

Error::Error(const std::string& message)
    : std::runtime_error(escape(message, std::string_view::npos, "\n")) {}

const char* Error::what() const noexcept {
  return message_.empty() ? std::runtime_error::what() : message_.c_str();
}

void Error::set_layer(const void* module, std::string path) {
  module_ = module;
  layer_ = std::move(path);
  message_.clear();
  if (layer_.empty()) {
    return;
  }
  const std::string message = std::runtime_error::what();
  const size_t who = message.rfind('[', 0) == 0 ? message.find("] ") : std::string::npos;
  const size_t rule = who == std::string::npos ? 0 : who + 2;
  message_ = message.substr(0, rule) + layer_ + ": " + message.substr(rule);
}

std::string Site::to_string() const {
  if (file == nullptr) {
    return "unknown place";
  }
  const char* slash = std::strrchr(file, '/');
  return fmt::format("{}:{}", slash ? slash + 1 : file, line);
}

std::string at(const Site& site) {
  return site.file == nullptr ? std::string() : " (at " + site.to_string() + ")";
}

}  // namespace warptape
