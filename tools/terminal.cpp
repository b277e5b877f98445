#include "tools/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "tools/numbers.h"

namespace warptape::tools {
namespace {

std::string variable(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

size_t columns_of_output() {
  const auto given = parse_number<int64_t>(variable("COLUMNS"));
  if (given && *given > 0) {
    return static_cast<size_t>(*given);
  }
  winsize size{};
  const bool is_known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? size.ws_col : Terminal{}.columns;
}

}  // namespace

void open_standard_streams() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) < 0 && errno == EBADF) {
      // The lowest free number is the one that was found closed.
      if (::open("/dev/null", O_RDWR) < 0) {
        std::_Exit(1);  // nowhere to say why
      }
    }
  }
}

Terminal standard_output() {
  Terminal terminal;
  terminal.is_there = ::isatty(STDOUT_FILENO) != 0;
  if (terminal.is_there) {
    const std::string term = variable("TERM");
    terminal.can_rewrite = !term.empty() && term != "dumb" && variable("NO_COLOR").empty();
    terminal.columns = columns_of_output();
  }
  return terminal;
}

std::string wrapped(const std::vector<std::string>& parts, size_t columns) {
  std::string text;
  size_t used = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string part = parts[i] + (i + 1 < parts.size() ? "," : "");
    if (i > 0 && used + 1 + part.size() > columns) {
      text += "\n  " + part;
      used = 2 + part.size();
    } else {
      text += (i > 0 ? " " : "") + part;
      used += (i > 0 ? 1 : 0) + part.size();
    }
  }
  return text + "\n";
}

}  // namespace warptape::tools
