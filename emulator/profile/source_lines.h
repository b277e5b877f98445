#pragma once
// From addresses of code to lines of kernels.

#include <map>
#include <string>
#include <vector>

namespace warptape::simt::profile {

struct SourceLine {
  std::string file;  // empty if not known
  int line = 0;
  std::string function{};  // the one that was compiled, into which others were inlined
};

// The line of the call that returns to each address, by one run of addr2line. Of inlined functions
// the innermost one that is not the vocabulary's own counts, so that a load16 shows where a kernel
// calls it. Without addr2line or debug information the files are hexadecimal addresses.
std::map<const void*, SourceLine> source_lines(const std::vector<const void*>& addresses);

}  // namespace warptape::simt::profile
