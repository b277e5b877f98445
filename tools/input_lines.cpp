#include "tools/input_lines.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/check.h"
#include "tools/end_signals.h"

namespace warptape::tools {
namespace {

constexpr int milliseconds_between_looks = 50;  // at signals, which interrupt no other thread

}  // namespace

bool InputLines::next(std::string& line) {
  size_t seen = begin_;
  size_t end = text_.find('\n', seen);
  while (end == std::string::npos && !has_ended_) {
    seen = text_.size() - begin_;
    if (!read_more()) {
      return false;
    }
    end = text_.find('\n', begin_ + seen);
  }
  if (end_signal() != 0 || begin_ == text_.size()) {
    return false;
  }
  line = text_.substr(begin_, end == std::string::npos ? end : end - begin_);
  begin_ = end == std::string::npos ? text_.size() : end + 1;
  if (line.ends_with('\r')) {
    line.pop_back();
  }
  return true;
}

// Some bytes or the end; false once there is a signal.
bool InputLines::read_more() {
  text_.erase(0, begin_);
  begin_ = 0;
  std::array<char, 1 << 16> bytes;
  while (end_signal() == 0) {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    if (::poll(&input, 1, milliseconds_between_looks) == 0) {
      continue;
    }
    const ssize_t count = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
      continue;
    }
    check<FileError>(count >= 0, "standard input cannot be read: {}", std::strerror(errno));
    text_.append(bytes.data(), static_cast<size_t>(count));
    has_ended_ = count == 0;
    return true;
  }
  return false;
}

}  // namespace warptape::tools
