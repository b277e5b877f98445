#pragma once
// What the program of the guide's blocks is made with (pages.py).

#include <cxxabi.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <regex>
#include <sstream>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "warptape.h"

namespace guide {

inline int failed = 0;

inline void fail(const std::string& text) {
  std::cerr << text;
  failed = 1;
}

// "ShapeError: its message", or nothing where nothing is thrown.
inline std::string error_of(const std::function<void()>& block) {
  try {
    block();
  } catch (const warptape::Error& error) {
    char* demangled = abi::__cxa_demangle(typeid(error).name(), nullptr, nullptr, nullptr);
    const std::string type = demangled;
    std::free(demangled);
    return type.substr(type.rfind("::") + 2) + ": " + error.what() + "\n";
  }
  return "";
}

// One block of a page: collects what is printed until end().
class Run {
 public:
  explicit Run(const char* where) : where_(where), before_(std::cout.rdbuf(printed_.rdbuf())) {}
  ~Run() { std::cout.rdbuf(before_); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void expect_error(const std::function<void()>& block) {
    const std::string error = error_of(block);
    std::cout << (error.empty() ? "nothing was thrown" : error);
  }

  // wanted: what the page says was printed, or null.
  void end(const char* wanted) {
    std::cout.rdbuf(before_);
    const std::string got = printed_.str();
    if (wanted == nullptr ? !got.empty() : without_places(got) != without_places(wanted)) {
      fail(where_ + ": the block printed\n" + got + "and the page says\n" +
           (wanted != nullptr ? wanted : "nothing: no ```text follows\n"));
    }
  }

 private:
  // Where an error arose is another line with every edit of the page.
  static std::string without_places(std::string text) {
    if (!text.empty() && text.back() != '\n') {
      text += '\n';
    }
    static const std::regex place(R"(\(at [^ ()]+:[0-9]+\))");
    return std::regex_replace(text, place, "(at ...)");
  }

  std::string where_;
  std::ostringstream printed_;
  std::streambuf* before_;
};

struct Page {
  std::string name;
  std::function<void()> run;
};

// Runs the page that is named, or all, each in a new folder with the sources' data/ in it.
inline int run_pages(int argc, char** argv, const std::vector<Page>& pages) {
  namespace files = std::filesystem;
  bool found = false;
  for (const Page& page : pages) {
    if (argc > 1 && page.name != argv[1]) {
      continue;
    }
    found = true;
    std::string folder = (files::temp_directory_path() / "warptape_guide_XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) {
      std::cerr << folder << ": cannot be made\n";
      return 1;
    }
    files::create_directory_symlink(WARPTAPE_SOURCE_DIR "/data", folder + "/data");
    files::current_path(folder);
    warptape::manual_seed(0);
    try {
      page.run();
    } catch (const std::exception& error) {
      fail(page.name + ": " + error.what() + "\n");
    }
    files::current_path("/");
    files::remove_all(folder);
  }
  if (!found) {
    std::cerr << "no such page\n";
    return 1;
  }
  return failed;
}

}  // namespace guide
