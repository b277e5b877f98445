#include "training/npy_header.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "training/file.h"

namespace warptape {
namespace {

constexpr uint64_t max_header = 1'000'000;  // NumPy itself stops at 10,000 unless told otherwise

// Reads the dict as Python's ast would: any spaces, either quote, a trailing comma, any order of
// keys.
class HeaderParser {
 public:
  HeaderParser(const InputFile& file, const std::string& text) : file_(file), text_(text) {}

  NpyHeader parse() {
    expect('{');
    while (!accept('}')) {
      parse_item();
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    require(position_ == text_.size(), "nothing more");
    for (const char* key : {"descr", "fortran_order", "shape"}) {
      file_.require(keys_.contains(key), "header: got no '{}', wanted one", key);
    }
    return header_;
  }

 private:
  void parse_item() {
    const std::string key = parse_string();
    file_.require(keys_.insert(key).second, "header: the key '{}' is there twice", excerpt(key));
    expect(':');
    if (key == "descr") {
      require(peek() != '[', "one dtype, not the list of a structured array,");
      header_.descr = parse_string();
    } else if (key == "fortran_order") {
      header_.fortran_order = parse_bool();
    } else if (key == "shape") {
      parse_shape();
    } else {
      file_.fail(fmt::format("header: got the key '{}', wanted descr, fortran_order and shape",
                             excerpt(key)));
    }
  }

  std::string parse_string() {
    const char quote = peek();
    require(quote == '\'' || quote == '"', "a string in quotes");
    const size_t begin = ++position_;
    position_ = std::min(text_.find(quote, begin), text_.size());
    require(position_ < text_.size(), "a closing quote");
    return text_.substr(begin, position_++ - begin);
  }

  bool parse_bool() {
    skip_space();
    for (const std::string word : {"True", "False"}) {
      if (text_.compare(position_, word.size(), word) == 0) {
        position_ += word.size();
        return word == "True";
      }
    }
    require(false, "True or False");
    return false;
  }

  void parse_shape() {
    expect('(');
    while (!accept(')')) {
      file_.require(header_.shape.size() < size_t{Shape::max_rank},
                    "shape: got more than {} dimensions, wanted fewer", int{Shape::max_rank});
      header_.shape.push_back(parse_size());
      if (!accept(',')) {
        require(header_.shape.size() > 1, "a comma (a tuple of one is written '(3,)')");
        expect(')');
        break;
      }
    }
  }

  int64_t parse_size() {
    const bool negative = accept('-');
    skip_space();
    const size_t begin = position_;
    int64_t value = 0;
    bool fits = true;
    while (position_ < text_.size() && text_[position_] >= '0' && text_[position_] <= '9') {
      const int digit = text_[position_++] - '0';
      fits = fits && !__builtin_mul_overflow(value, int64_t{10}, &value) &&
             !__builtin_add_overflow(value, int64_t{digit}, &value);
    }
    require(position_ > begin, "an integer");
    const std::string digits = excerpt(text_.substr(begin, position_ - begin));
    file_.require(fits, "shape: got {}, wanted less than 2^63", digits);
    file_.require(!negative || value == 0, "shape: got -{}, wanted 0 or more", digits);
    if (position_ < text_.size() && text_[position_] == 'L') {  // Python 2 wrote long integers so
      ++position_;
    }
    return value;
  }

  void skip_space() {
    while (position_ < text_.size() &&
           std::string_view(" \t\n\r\f\v").find(text_[position_]) != std::string_view::npos) {
      ++position_;
    }
  }

  char peek() {
    skip_space();
    return position_ < text_.size() ? text_[position_] : '\0';
  }

  bool accept(char character) {
    if (peek() != character) {
      return false;
    }
    ++position_;
    return true;
  }

  void expect(char character) { require(accept(character), fmt::format("'{}'", character)); }

  void require(bool condition, const std::string& wanted) {
    if (!condition) {
      const std::string got = position_ < text_.size()
                                  ? fmt::format("\"{}\"", excerpt(text_.substr(position_, 20)))
                                  : "its end";
      file_.fail(
          fmt::format("header: got {} at its byte {}, wanted {} there", got, position_, wanted));
    }
  }

  const InputFile& file_;
  const std::string& text_;
  size_t position_ = 0;
  std::set<std::string> keys_;
  NpyHeader header_;
};

}  // namespace

NpyHeader read_npy_header(const InputFile& file) {
  file.require(file.size() >= 10, "size: got {} bytes, wanted at least the 10 of a .npy header",
               file.size());
  const std::string start = file.read_bytes(0, std::min<uint64_t>(file.size(), 12));
  file.require(start.compare(0, 6, "\x93NUMPY") == 0,
               "first bytes: got \"{}\", wanted \"\\x93NUMPY\" (is this a .npy file?)",
               excerpt(start.substr(0, 6)));
  const auto byte = [&](size_t i) { return static_cast<uint64_t>(static_cast<uint8_t>(start[i])); };
  const uint64_t major = byte(6);
  file.require(major >= 1 && major <= 3 && byte(7) == 0,
               "version: got {}.{}, wanted 1.0, 2.0 or 3.0", major, byte(7));
  const uint64_t header_start = major == 1 ? 10 : 12;
  file.require(file.size() >= header_start, "size: got {} bytes, wanted at least {}", file.size(),
               header_start);
  uint64_t length = byte(8) | byte(9) << 8;
  if (major > 1) {
    length |= byte(10) << 16 | byte(11) << 24;
  }
  file.require(length <= max_header, "header length: got {} bytes, wanted at most {}", length,
               uint64_t{max_header});
  file.require(length <= file.size() - header_start,
               "header length: got {} bytes, wanted at most the {} that follow in the file", length,
               file.size() - header_start);
  const std::string text = file.read_bytes(header_start, length);
  NpyHeader header = HeaderParser(file, text).parse();
  header.data_start = header_start + length;
  return header;
}

}  // namespace warptape
