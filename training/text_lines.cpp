#include "training/text_lines.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace warptape {
namespace {

constexpr uint64_t most_bytes = uint64_t{1} << 30;
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
constexpr std::string_view spaces = " \t";

}  // namespace

TextLines::TextLines(std::string path, const char* who)
    : path_(std::move(path)), who_(who), text_(read_file(path_, most_bytes, who)) {
  if (text_.empty()) {
    fail_file("got 0 bytes, wanted lines of text");
  }
  begin_ = text_.starts_with(byte_order_mark) ? byte_order_mark.size() : 0;
}

std::optional<std::string_view> TextLines::next() {
  if (begin_ >= text_.size()) {
    return std::nullopt;
  }
  const size_t end = std::min(text_.find('\n', begin_), text_.size());
  std::string_view line = std::string_view(text_).substr(begin_, end - begin_);
  begin_ = end + 1;
  ++number_;
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  return line;
}

void TextLines::fail(const std::string& message) const {
  throw FileError(fmt::format("[{}] {}: line {}: {}", who_, escaped(path_), number_, message));
}

void TextLines::fail_file(const std::string& message) const {
  throw FileError(fmt::format("[{}] {}: {}", who_, escaped(path_), message));
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(spaces);
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(spaces) + 1 - begin);
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find_first_of(spaces, begin), text.size());
    if (end > begin) {
      words.push_back(text.substr(begin, end - begin));
    }
    begin = end + 1;
  }
  return words;
}

std::optional<double> finite_number(std::string_view text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, fault] = std::from_chars(text.data(), end, value);
  if (fault != std::errc{} || stop != end || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

}  // namespace warptape
