#include "tools/output_files.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "core/check.h"
#include "training/file.h"

namespace warptape::tools {
namespace {

namespace fs = std::filesystem;

// Of files that are there, through links too; of others by their paths.
bool is_same_file(const std::string& one, const std::string& other) {
  std::error_code error;
  if (fs::equivalent(one, other, error) && !error) {
    return true;
  }
  const fs::path first = fs::weakly_canonical(one, error);
  return !error && first == fs::weakly_canonical(other, error) && !error;
}

}  // namespace

void check_outputs(const std::vector<OutputPath>& outputs, const std::vector<std::string>& inputs,
                   const char* command) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto& [option, path] = outputs[i];
    if (path.empty()) {
      continue;
    }
    for (const std::string& input : inputs) {
      check<ValueError>(input.empty() || !is_same_file(path, input),
                        "[{}] {} {}: got {}, which the command reads; wanted another file", command,
                        option, escaped(path), escaped(input));
    }
    for (size_t before = 0; before < i; ++before) {
      check<ValueError>(outputs[before].path.empty() || !is_same_file(path, outputs[before].path),
                        "[{}] {} {}: got the file of {}, wanted another one", command, option,
                        escaped(path), outputs[before].option);
    }
    check_writable(path, command);
  }
}

}  // namespace warptape::tools
