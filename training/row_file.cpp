#include "training/row_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "training/file.h"

namespace warptape {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& message) {
  throw FileError(fmt::format("[run] {}: {}", escaped(path), message));
}

// Where the first so many rows after the first line end.
size_t end_of_rows(const std::string& path, std::string_view first_line, int64_t rows) {
  const std::string text = read_file(path, uint64_t{1} << 40, "run");
  const std::string head = std::string(first_line) + "\n";
  if (!text.starts_with(head)) {
    refuse(path, fmt::format("first line: got {}, wanted {}",
                             excerpt(text.substr(0, text.find('\n'))), first_line));
  }
  size_t end = head.size();
  for (int64_t row = 0; row < rows; ++row) {
    const size_t line_end = text.find('\n', end);
    if (line_end == std::string::npos) {
      refuse(path, fmt::format("got {} rows, wanted the {} that the checkpoint has behind it", row,
                               rows));
    }
    end = line_end + 1;
  }
  return end;
}

}  // namespace

RowFile RowFile::create(const std::string& path, std::string_view first_line) {
  const int descriptor =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    refuse(path, errno == EEXIST ? "it exists and another run has just begun there"
                                 : fmt::format("cannot be written: {}", std::strerror(errno)));
  }
  RowFile file(path, descriptor);
  file.lock();
  file.add(std::string(first_line));
  return file;
}

RowFile RowFile::reopen(const std::string& path, std::string_view first_line, int64_t rows) {
  const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | (rows == 0 ? O_CREAT : 0);
  RowFile file(path, ::open(path.c_str(), flags, 0666));
  if (file.descriptor_ < 0) {
    file.fail();
  }
  file.lock();
  const size_t end = rows == 0 ? 0 : end_of_rows(path, first_line, rows);
  if (::ftruncate(file.descriptor_, static_cast<off_t>(end)) != 0) {
    file.fail();
  }
  if (rows == 0) {
    file.add(std::string(first_line));
  }
  return file;
}

RowFile::RowFile(RowFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

RowFile::~RowFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

void RowFile::fail() const {
  refuse(path_, fmt::format("cannot be written: {}", std::strerror(errno)));
}

void RowFile::add(const std::string& row) {
  const std::string line = row + "\n";
  for (size_t written = 0; written < line.size();) {
    const ssize_t count = ::write(descriptor_, line.data() + written, line.size() - written);
    if (count < 0 && errno != EINTR) {
      fail();
    }
    written += static_cast<size_t>(std::max<ssize_t>(count, 0));
  }
}

void RowFile::sync() {
  if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != ENOTSUP) {
    fail();
  }
}

void RowFile::lock() {
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    refuse(path_, "another process is training there");
  }
}

}  // namespace warptape
