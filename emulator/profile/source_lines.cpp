#include "emulator/profile/source_lines.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>

namespace warptape::simt::profile {
namespace {

// The address as the program's file knows it: one byte back, within the call, and without the
// distance by which the loader moved the program.
uintptr_t address_in_file(const void* address) {
  Dl_info info{};
  link_map* map = nullptr;
  const int found = ::dladdr1(address, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP);
  return reinterpret_cast<uintptr_t>(address) - 1 - (found == 0 ? 0 : map->l_addr);
}

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), &::pclose);
  std::string output;
  std::array<char, 4096> part;
  while (pipe != nullptr && std::fgets(part.data(), part.size(), pipe.get()) != nullptr) {
    output += part.data();
  }
  return output;
}

bool is_kernel_code(const std::string& file) {
  return file.find("core/simt/") == std::string::npos &&
         file.find("emulator/engine/") == std::string::npos && !file.starts_with("/usr/") &&
         !file.starts_with("?");
}

// Takes one frame in, the innermost first. place: "kernels/add/add.cu:12 (discriminator 3)".
void add_frame(const std::string& function, const std::string& place, SourceLine& line) {
  line.function = function;
  const size_t colon = place.rfind(':');
  if (line.line == 0 && colon != std::string::npos && is_kernel_code(place)) {
    line.line = std::atoi(place.c_str() + colon + 1);
    line.file = line.line == 0 ? line.file : place.substr(0, colon);
  }
}

}  // namespace

std::map<const void*, SourceLine> source_lines(const std::vector<const void*>& addresses) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  std::string command = fmt::format("addr2line -a -i -f -C -e '{}'", program);
  std::map<uintptr_t, const void*> wanted;
  std::map<const void*, SourceLine> lines;
  for (const void* address : addresses) {
    const uintptr_t in_file = address_in_file(address);
    lines[address].file = fmt::format("{:#x}", in_file);
    if (wanted.emplace(in_file, address).second) {
      command += fmt::format(" {:#x}", in_file);
    }
  }
  if (wanted.empty()) {
    return lines;
  }
  // Per address: itself, then for each frame a line with the function and one with the place.
  std::istringstream output(output_of(command + " 2>/dev/null"));
  SourceLine* line = nullptr;
  std::string text;
  while (std::getline(output, text)) {
    if (text.starts_with("0x")) {
      line = &lines.at(wanted.at(std::strtoull(text.c_str(), nullptr, 16)));
    } else if (std::string place; std::getline(output, place) && line != nullptr) {
      add_frame(text, place, *line);
    }
  }
  return lines;
}

}  // namespace warptape::simt::profile
