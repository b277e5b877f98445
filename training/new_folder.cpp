#include "training/new_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "core/check.h"
#include "training/file.h"

namespace warptape {
namespace {

namespace fs = std::filesystem;

std::string without_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  return path;
}

// Removes the folder unless it has been given away.
class TemporaryNewFolder {
 public:
  TemporaryNewFolder(const std::string& beside, const std::string& shown, const char* who)
      : path_(beside + ".part-XXXXXX") {
    check<FileError>(::mkdtemp(path_.data()) != nullptr, "[{}] {}: the folder cannot be made: {}",
                     who, escaped(shown), std::strerror(errno));
    // mkdtemp's is for its owner alone; others are made as the user's mask says.
    const mode_t mask = ::umask(0);
    ::umask(mask);
    ::chmod(path_.c_str(), 0777 & ~mask);
  }
  ~TemporaryNewFolder() {
    if (!path_.empty()) {
      std::error_code ignored;
      fs::remove_all(path_, ignored);
    }
  }
  TemporaryNewFolder(const TemporaryNewFolder&) = delete;
  TemporaryNewFolder& operator=(const TemporaryNewFolder&) = delete;

  const std::string& path() const { return path_; }
  void rename_to(const std::string& path, const char* who) {
    check<FileError>(std::rename(path_.c_str(), path.c_str()) == 0,
                     "[{}] {}: the folder cannot be made: {}", who, escaped(path),
                     std::strerror(errno));
    path_.clear();
  }

 private:
  std::string path_;
};

void check_absent(const std::string& path, const char* who) {
  check<FileError>(!path.empty() && path.find('\0') == std::string::npos,
                   "[{}] {}: wanted the path of a new folder", who, escaped(path));
  struct stat found {};
  check<FileError>(::lstat(path.c_str(), &found) != 0, "[{}] {}: it exists; wanted a new folder",
                   who, escaped(path));
}

}  // namespace

void check_new_folder(const std::string& given, const char* who) {
  const std::string path = without_slashes(given);
  check_absent(path, who);
  // Where the first of the folders that are missing would be made.
  fs::path first = path;
  std::error_code ignored;
  while (first.has_parent_path() && !fs::exists(first.parent_path(), ignored)) {
    first = first.parent_path();
  }
  const TemporaryNewFolder removed_at_once(first.string(), path, who);
}

void write_new_folder(const std::string& given, const std::map<std::string, std::string>& files,
                      const char* who) {
  const std::string path = without_slashes(given);
  check_absent(path, who);
  const fs::path parent = fs::path(path).parent_path();
  std::error_code error;
  fs::create_directories(parent, error);
  check<FileError>(!error || parent.empty(), "[{}] {}: the folder cannot be made: {}", who,
                   escaped(path), error.message());
  TemporaryNewFolder folder(path, path, who);
  for (const auto& [name, contents] : files) {
    write_file_atomically(folder.path() + "/" + name, contents, who);
  }
  check_absent(path, who);
  folder.rename_to(path, who);
}

}  // namespace warptape
