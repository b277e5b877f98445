#pragma once
// The files that a command writes: known good before the work begins.

#include <string>
#include <vector>

namespace warptape::tools {

struct OutputPath {
  const char* option;  // "--output"
  std::string path;    // empty: not asked for
};

// ValueError where an output is one of the inputs, or two outputs are one file, under whatever
// name: the one would be gone. FileError where one cannot be written as things are now.
void check_outputs(const std::vector<OutputPath>& outputs, const std::vector<std::string>& inputs,
                   const char* command);

}  // namespace warptape::tools
