#include "training/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>

namespace warptape {
namespace {

std::string variable(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

size_t columns_of_output() {
  const std::string given = variable("COLUMNS");
  size_t columns = 0;
  const auto [stop, fault] = std::from_chars(given.data(), given.data() + given.size(), columns);
  if (fault == std::errc{} && stop == given.data() + given.size() && columns > 0) {
    return columns;
  }
  winsize size{};
  const bool is_known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? size.ws_col : Terminal{}.columns;
}

}  // namespace

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

}  // namespace warptape
