#pragma once
// Loads a shared library of NVIDIA's while the program runs.

#include <dlfcn.h>

#include <algorithm>
#include <string>

namespace warptape {

// The library from the first of `folders` where it loads: "/usr/local/cuda/lib64::/opt/lib", in
// which an empty name is the loader's own search. Its folders are those of the build machine, so
// that a program that moved finds the libraries of its new machine by that search. nullptr, and a
// sentence in `reason`, where it is nowhere.
inline void* load_library(const std::string& name, const std::string& folders,
                          std::string* reason) {
  for (size_t begin = 0; begin <= folders.size();) {
    const size_t end = std::min(folders.find(':', begin), folders.size());
    const std::string folder = folders.substr(begin, end - begin);
    const std::string path = folder.empty() ? name : folder + "/" + name;
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
      return library;
    }
    begin = end + 1;
  }
  *reason = name + " was not found";
  return nullptr;
}

// NVIDIA's version numbers: major * 10000 + minor * 100 + patch.
inline std::string version_text(size_t number) {
  const auto text = [](size_t part) { return std::to_string(part); };
  return text(number / 10000) + "." + text(number / 100 % 100) + "." + text(number % 100);
}

}  // namespace warptape
