#pragma once
// A table that grows by rows while a run goes on: steps.csv, metrics.csv.

#include <cstdint>
#include <string>
#include <string_view>

namespace warptape {

class RowFile {
 public:
  // No other process can hold the file while this one does.

  // Makes the file with a first line. FileError if it is there.
  static RowFile create(const std::string& path, std::string_view first_line);
  // Opens one with that first line, and takes off what comes after the first so many rows.
  // FileError where it has fewer, or is held. For no rows it begins anew, whatever is there.
  static RowFile reopen(const std::string& path, std::string_view first_line, int64_t rows);

  ~RowFile();
  RowFile(RowFile&& other) noexcept;
  RowFile& operator=(RowFile&&) = delete;

  // Without the line's end. The row is in the file when this returns; FileError if it cannot be.
  void add(const std::string& row);
  void sync();  // to the disk

 private:
  RowFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  [[noreturn]] void fail() const;
  void lock();

  std::string path_;
  int descriptor_;
};

}  // namespace warptape
