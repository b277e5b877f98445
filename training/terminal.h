#pragma once
// What standard output is, and what it may be sent.

#include <cstddef>
#include <string>
#include <vector>

namespace warptape {

struct Terminal {
  bool is_there = false;     // else a pipe or a file, which gets whole lines of any length
  bool can_rewrite = false;  // a line may be written over: not if TERM is dumb or NO_COLOR is set
  size_t columns = 80;       // COLUMNS, else what the terminal says
};
Terminal standard_output();

// The parts with commas between them, on as many lines as they need to stay within the columns.
// Lines after the first are indented.
std::string wrapped(const std::vector<std::string>& parts, size_t columns);

}  // namespace warptape
