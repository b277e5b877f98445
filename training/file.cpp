#include "training/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

namespace warptape {
namespace {

std::string error_text(int code) {
  return std::generic_category().message(code);
}

const char* kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return "a directory";
    case S_IFIFO:
      return "a FIFO";
    case S_IFSOCK:
      return "a socket";
    case S_IFCHR:
    case S_IFBLK:
      return "a device";
    default:
      return "a special file";
  }
}

[[noreturn]] void fail_write(const char* who, const std::string& path, const std::string& message) {
  throw FileError(fmt::format("[{}] {}: {}", who, escaped(path), message));
}

[[noreturn]] void fail_errno(const char* who, const std::string& path, const char* step) {
  const int code = errno;
  fail_write(who, path, fmt::format("{}: got \"{}\"", step, error_text(code)));
}

// Where the new contents go and what stands there now.
struct Target {
  std::string path;            // links resolved
  std::optional<mode_t> mode;  // of the present file, if there is one
};

// The system would take the path up to the zero byte.
bool has_zero_byte(const std::string& path) {
  return path.find('\0') != std::string::npos;
}

Target find_target(const char* who, const std::string& path) {
  if (has_zero_byte(path)) {
    fail_write(who, path, "got a zero byte in the path, wanted none");
  }
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    return {path, std::nullopt};  // creating the temporary says why, if that is a reason to fail
  }
  if (!S_ISREG(status.st_mode)) {
    fail_write(who, path,
               fmt::format("got {}, wanted a regular file or none", kind_of(status.st_mode)));
  }
  if (faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0) {
    fail_errno(who, path, "replacing the file");
  }
  const std::unique_ptr<char, decltype(&std::free)> resolved(realpath(path.c_str(), nullptr),
                                                             &std::free);
  return {resolved ? std::string(resolved.get()) : path, status.st_mode & 07777};
}

// The new file until it takes its place; removed by the destructor if it never does.
class TemporaryFile : public OutputFile {
 public:
  TemporaryFile(const char* who, const std::string& path)
      : who_(who), shown_path_(path), target_(find_target(who, path)) {
    create();
    if (target_.mode && fchmod(descriptor_, *target_.mode) != 0) {
      const int code = errno;
      discard();  // the destructor does not run for a constructor that throws
      errno = code;
      fail_errno(who_, shown_path_, "setting the mode of the temporary file");
    }
  }
  ~TemporaryFile() override { discard(); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void write(const void* bytes, uint64_t count) override {
    const char* from = static_cast<const char*>(bytes);
    while (count > 0) {
      const ssize_t written = ::write(descriptor_, from, count);
      if (written < 0 && errno != EINTR) {
        fail_errno(who_, shown_path_, "writing");
      }
      if (written > 0) {
        from += written;
        count -= static_cast<uint64_t>(written);
      }
    }
  }

  void commit() {
    if (fsync(descriptor_) != 0) {
      fail_errno(who_, shown_path_, "writing to the disk");
    }
    if (close(std::exchange(descriptor_, -1)) != 0) {
      fail_errno(who_, shown_path_, "closing");
    }
    if (rename(path_.c_str(), target_.path.c_str()) != 0) {
      fail_errno(who_, shown_path_, "renaming the temporary file");
    }
    path_.clear();
    sync_folder();
  }

 private:
  void create() {
    static std::atomic<unsigned> counter{0};
    for (int attempt = 0; attempt < 100; ++attempt) {
      path_ = fmt::format("{}.{}-{}.tmp", target_.path, getpid(), counter++);
      descriptor_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor_ >= 0) {
        return;
      }
      if (errno != EEXIST) {  // a killed process with our number may have left one
        break;
      }
    }
    path_.clear();
    fail_errno(who_, shown_path_, "creating a temporary file beside it");
  }

  void discard() {
    if (descriptor_ >= 0) {
      close(std::exchange(descriptor_, -1));
    }
    if (!path_.empty()) {
      unlink(path_.c_str());
      path_.clear();
    }
  }

  // Makes the rename itself outlast a power cut.
  void sync_folder() const {
    const std::string parent = std::filesystem::path(target_.path).parent_path().string();
    const int folder =
        open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
      return;  // a folder may be writable but not readable: the file is there all the same
    }
    const int code = fsync(folder) == 0 ? 0 : errno;
    close(folder);
    if (code != 0 && code != EINVAL && code != ENOTSUP) {  // not every file system knows how to
      errno = code;
      fail_errno(who_, shown_path_, "writing the folder to the disk");
    }
  }

  const char* who_;
  std::string shown_path_;
  Target target_;
  std::string path_;  // empty once there is nothing to remove
  int descriptor_ = -1;
};

}  // namespace

InputFile::InputFile(std::string path, const char* who) : path_(std::move(path)), who_(who) {
  require(!has_zero_byte(path_), "got a zero byte in the path, wanted none");
  // Without O_NONBLOCK the open of a FIFO would wait for its writer.
  const int descriptor = open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (descriptor < 0) {
    fail(fmt::format("opening: got \"{}\", wanted a readable file", error_text(errno)));
  }
  struct stat status {};
  const int code = fstat(descriptor, &status) == 0 ? 0 : errno;
  if (code != 0 || !S_ISREG(status.st_mode)) {
    close(descriptor);
    fail(fmt::format("got {}, wanted a regular file",
                     code != 0 ? error_text(code) : kind_of(status.st_mode)));
  }
  descriptor_ = descriptor;
  size_ = static_cast<uint64_t>(status.st_size);
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) {
    close(descriptor_);
  }
}

void InputFile::check_range(uint64_t offset, uint64_t count) const {
  require(offset <= size_ && count <= size_ - offset,
          "size: got {} bytes, wanted {} more from byte {}", size_, count, offset);
}

void InputFile::read(uint64_t offset, void* to, uint64_t count) const {
  check_range(offset, count);
  char* target = static_cast<char*>(to);
  while (count > 0) {
    const ssize_t got = pread(descriptor_, target, count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    require(got >= 0, "reading: got \"{}\"", error_text(errno));
    require(got > 0, "reading: the file ended at byte {}, it had {} bytes when it was opened",
            offset, size_);
    target += got;
    offset += static_cast<uint64_t>(got);
    count -= static_cast<uint64_t>(got);
  }
}

std::string InputFile::read_bytes(uint64_t offset, uint64_t count) const {
  check_range(offset, count);
  std::string bytes(count, '\0');
  read(offset, bytes.data(), count);
  return bytes;
}

void InputFile::fail(const std::string& message) const {
  throw FileError(fmt::format("[{}] {}: {}", who_, escaped(path_), message));
}

std::string read_file(const std::string& path, uint64_t max_bytes, const char* who) {
  const InputFile file(path, who);
  file.require(file.size() <= max_bytes, "size: got {} bytes, wanted at most {}", file.size(),
               max_bytes);
  return file.read_bytes(0, file.size());
}

void write_file_atomically(const std::string& path, const std::function<void(OutputFile&)>& write,
                           const char* who) {
  TemporaryFile file(who, path);
  write(file);
  file.commit();
}

void write_file_atomically(const std::string& path, std::string_view bytes, const char* who) {
  write_file_atomically(
      path, [&](OutputFile& file) { file.write(bytes); }, who);
}

void check_writable(const std::string& path, const char* who) {
  const TemporaryFile removed_at_once(who, path);
}

}  // namespace warptape
