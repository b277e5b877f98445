#pragma once
// A text file line by line. For .cpp files alone, as training/file.h.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "training/file.h"

namespace warptape {

class TextLines {
 public:
  // Reads the file, 1 GiB at most. FileError where there is none or it is empty. A byte order mark
  // in front is left out.
  TextLines(std::string path, const char* who);
  TextLines(const TextLines&) = delete;
  TextLines& operator=(const TextLines&) = delete;

  // The next line, without its end ("\n" or "\r\n"); nothing behind the last one. The text lives as
  // long as this.
  std::optional<std::string_view> next();
  int64_t number() const { return number_; }  // of that line, from 1

  // "[who] path: line N: message", and the same without a line.
  [[noreturn]] void fail(const std::string& message) const;
  [[noreturn]] void fail_file(const std::string& message) const;
  template <class... Args>
  void require(bool condition, fmt::format_string<Args...> message, Args&&... args) const {
    if (!condition) [[unlikely]] {
      fail(fmt::format(message, std::forward<Args>(args)...));
    }
  }

 private:
  std::string path_;
  const char* who_;
  std::string text_;
  size_t begin_ = 0;
  int64_t number_ = 0;
};

// Without spaces and tabs at its ends.
std::string_view trimmed(std::string_view text);
// The words between spaces and tabs.
std::vector<std::string_view> words_of(std::string_view text);
// A whole text as a finite decimal number, or nothing.
std::optional<double> finite_number(std::string_view text);

}  // namespace warptape
