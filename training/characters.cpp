#include "training/characters.h"

#include <algorithm>
#include <utility>

#include "core/utf8.h"
#include "training/file.h"

namespace warptape {
namespace {

constexpr const char* who_reads = "load_characters";
constexpr uint64_t most_bytes = uint64_t{1} << 30;

}  // namespace

std::vector<uint32_t> load_characters(const std::string& path) {
  const std::string bytes = read_file(path, most_bytes, who_reads);
  std::string_view text = bytes;
  check<FileError>(!text.empty(), "[{}] {}: got 0 bytes, wanted a text", who_reads, escaped(path));
  std::vector<uint32_t> codes;
  int64_t line = 1;
  while (!text.empty()) {
    const Utf8Character next = first_character(text);
    check<FileError>(next.size > 0, "[{}] {}: line {}: got the byte {:#04x} at {}, wanted UTF-8",
                     who_reads, escaped(path), line, static_cast<uint8_t>(text[0]),
                     bytes.size() - text.size());
    codes.push_back(next.code);
    line += next.code == '\n' ? 1 : 0;
    text.remove_prefix(next.size);
  }
  return codes;
}

std::vector<uint32_t> vocabulary_of(const std::vector<uint32_t>& text) {
  std::vector<bool> is_there(0x110000);
  for (const uint32_t code : text) {
    is_there[code] = true;
  }
  std::vector<uint32_t> codes;
  for (uint32_t code = 0; code < is_there.size(); ++code) {
    if (is_there[code]) {
      codes.push_back(code);
    }
  }
  return codes;
}

Vocabulary::Vocabulary(std::vector<uint32_t> codes) : codes_(std::move(codes)) {
  for (size_t i = 0; i < codes_.size(); ++i) {
    places_.emplace(codes_[i], static_cast<int64_t>(i));
  }
}

std::vector<int64_t> Vocabulary::indices(std::string_view text, const char* who) const {
  std::vector<int64_t> result;
  for (int64_t place = 1; !text.empty(); ++place) {
    const Utf8Character next = first_character(text);
    check<ValueError>(next.size > 0, "{}: character {}: got the byte {:#04x}, wanted UTF-8", who,
                      place, static_cast<uint8_t>(text[0]));
    const auto found = places_.find(next.code);
    check<ValueError>(found != places_.end(),
                      "{}: character {}: got \"{}\", which is none of the {} that the model knows",
                      who, place, excerpt(text.substr(0, next.size)), size());
    result.push_back(found->second);
    text.remove_prefix(next.size);
  }
  return result;
}

std::vector<int64_t> Vocabulary::indices(const std::vector<uint32_t>& text) const {
  std::vector<int64_t> result;
  result.reserve(text.size());
  for (const uint32_t code : text) {
    result.push_back(places_.at(code));
  }
  return result;
}

}  // namespace warptape
