#pragma once
// A text as code points, and these as indices.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace warptape {

// The code points of a UTF-8 file (1 GiB at most). FileError with the line for what is no UTF-8,
// and for an empty file.
std::vector<uint32_t> load_characters(const std::string& path);

// Those that a text has, each once, in ascending order.
std::vector<uint32_t> vocabulary_of(const std::vector<uint32_t>& text);

class Vocabulary {
 public:
  explicit Vocabulary(std::vector<uint32_t> codes);
  const std::vector<uint32_t>& codes() const { return codes_; }
  int64_t size() const { return static_cast<int64_t>(codes_.size()); }
  // ValueError "who: character N: ..." for a character that it does not have, and for what is no
  // UTF-8.
  std::vector<int64_t> indices(std::string_view text, const char* who) const;
  std::vector<int64_t> indices(const std::vector<uint32_t>& text) const;  // all are there

 private:
  std::vector<uint32_t> codes_;
  std::unordered_map<uint32_t, int64_t> places_;
};

}  // namespace warptape
