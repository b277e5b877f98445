#pragma once
#include <string>

namespace warptape::tools {

// Standard input line by line, as it comes. The first signal that ends the program in order ends
// the lines too, also while there is nothing to read.
class InputLines {
 public:
  // The next line without its end ("\n" or "\r\n"), or false behind the last one. FileError where
  // standard input cannot be read.
  bool next(std::string& line);

 private:
  bool read_more();

  std::string text_;  // read, and not yet given
  size_t begin_ = 0;
  bool has_ended_ = false;
};

}  // namespace warptape::tools
