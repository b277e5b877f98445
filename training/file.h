#pragma once
// Reading and writing files. Whatever is wrong with one is a FileError of the form
// "[who] path: rule: got X, wanted Y", where `who` is the public function that was called. For .cpp
// files alone, as core/check.h.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "core/check.h"

namespace warptape {

// A regular file, open for reading. Directories, FIFOs and devices are refused, without waiting.
class InputFile {
 public:
  explicit InputFile(std::string path, const char* who = "read_file");
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }

  // Exactly `count` bytes from `offset`; FileError if the file has fewer.
  void read(uint64_t offset, void* to, uint64_t count) const;
  // The same as a string. Compares the range with the file before it allocates.
  std::string read_bytes(uint64_t offset, uint64_t count) const;

  // Throws FileError with the reader, the path and the message.
  [[noreturn]] void fail(const std::string& message) const;
  template <class... Args>
  void require(bool condition, fmt::format_string<Args...> message, Args&&... args) const {
    if (!condition) [[unlikely]] {
      fail(fmt::format(message, std::forward<Args>(args)...));
    }
  }

 private:
  void check_range(uint64_t offset, uint64_t count) const;

  std::string path_;
  const char* who_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

// The bytes of a regular file of at most `max_bytes`.
std::string read_file(const std::string& path, uint64_t max_bytes, const char* who = "read_file");

// What write_file_atomically hands to its writer.
class OutputFile {
 public:
  virtual ~OutputFile() = default;
  virtual void write(const void* bytes, uint64_t count) = 0;
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
};

// Writes a new file beside `path` and puts it in the place of `path` in one step, so that readers,
// a kill or a full disk find the old contents or the new ones, never a part. Whatever fails, or
// whatever `write` throws, removes the new file again. A link is followed; a write-protected file
// is refused.
void write_file_atomically(const std::string& path, const std::function<void(OutputFile&)>& write,
                           const char* who = "write_file");
void write_file_atomically(const std::string& path, std::string_view bytes,
                           const char* who = "write_file");

// The FileError that write_file_atomically would end with as things are now, before long work; no
// file changes.
void check_writable(const std::string& path, const char* who = "write_file");

}  // namespace warptape
