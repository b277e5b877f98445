#include "core/simt/profile/source_lines.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

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
  return file.find("core/simt/") == std::string::npos && !file.starts_with("/usr/") &&
         !file.starts_with("?");
}

// "kernels/add/add.cu:12 (discriminator 3)"
SourceLine parse(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) {
    return {};
  }
  return {text.substr(0, colon), std::atoi(text.c_str() + colon + 1)};
}

}  // namespace

std::map<const void*, SourceLine> source_lines(const std::vector<const void*>& addresses) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  std::string command = fmt::format("addr2line -a -i -f -C -e '{}'", program);
  std::map<uintptr_t, const void*> wanted;
  std::map<const void*, SourceLine> lines;
  for (const void* address : addresses) {
    const uintptr_t in_file = address_in_file(address);
    lines[address] = {fmt::format("{:#x}", in_file), 0};
    if (wanted.emplace(in_file, address).second) {
      command += fmt::format(" {:#x}", in_file);
    }
  }
  if (wanted.empty()) {
    return lines;
  }
  // Per address: itself, then a line with the function and one with its place for each frame,
  // innermost first.
  const std::string output = output_of(command + " 2>/dev/null");
  const void* current = nullptr;
  bool found = false;
  for (size_t begin = 0; begin < output.size();) {
    const size_t end = output.find('\n', begin);
    const std::string text = output.substr(begin, end - begin);
    begin = end == std::string::npos ? output.size() : end + 1;
    if (text.starts_with("0x")) {
      current = wanted.at(std::strtoull(text.c_str(), nullptr, 16));
      found = false;
    } else if (const SourceLine line = parse(text);
               !found && line.line > 0 && is_kernel_code(line.file)) {
      lines[current] = line;
      found = true;
    }
  }
  return lines;
}

}  // namespace warptape::simt::profile
