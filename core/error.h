#pragma once
// Typed errors. Every message has the form "[who] rule: got X, wanted Y (at file.cpp:12)", where
// the place in parentheses is the caller's line of the public function that found the fault. How a
// rule is checked is in check.h.

#include <stdexcept>
#include <string>
#include <string_view>

namespace warptape {

// What a file or a user has named (a path, a tensor, a class, an option's value), as it may stand
// in a message or on a terminal. UTF-8 stays. Bytes that are none, and control bytes, become \x1b;
// characters that nobody sees or that turn the line around become \u202e.
std::string escaped(std::string_view text);
// The same of a text that may be long: 80 bytes and "..." at most, for what a file holds.
std::string excerpt(std::string_view text);

// A place in the caller's source.
struct Site {
  const char* file = nullptr;
  int line = 0;

  // The line of whoever calls the function whose default argument this is; while a module is called
  // it is the line of that call, the outermost one.
  static Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE());
  std::string to_string() const;  // "train.cpp:12"
};

// What Site::here() says on this thread while it lives. An outer one, or an unknown site, leaves it
// as it is.
class SiteScope {
 public:
  explicit SiteScope(const Site& site) : is_outermost_(outermost_ == nullptr && site.file) {
    if (is_outermost_) {
      site_ = site;
      outermost_ = &site_;
    }
  }
  ~SiteScope() {
    if (is_outermost_) {
      outermost_ = nullptr;
    }
  }
  SiteScope(const SiteScope&) = delete;
  SiteScope& operator=(const SiteScope&) = delete;

 private:
  friend struct Site;
  static constinit inline thread_local const Site* outermost_ = nullptr;
  Site site_;
  bool is_outermost_;
};

inline Site Site::here(const char* file, int line) {
  return SiteScope::outermost_ != nullptr ? *SiteScope::outermost_ : Site{file, line};
}

struct Error : std::runtime_error {
  // Escapes the message once more, but for its line ends: whoever wrote it, it reaches what()
  // whole, and a terminal harmless.
  explicit Error(const std::string& message);
  const char* what() const noexcept override;

  // The path of the layer in which the error arose, such as "layers.2.fc1", stands before the rule:
  // "[linear] layers.2.fc1: ...". Modules put it together while the error leaves them, one after
  // the other; `module` is the one that it left last.
  void set_layer(const void* module, std::string path);
  const void* module() const { return module_; }
  const std::string& layer() const { return layer_; }

 private:
  const void* module_ = nullptr;
  std::string layer_;
  std::string message_;  // with the layer's path; empty: there is none
};
struct ShapeError : Error {
  using Error::Error;
};
struct DTypeError : Error {
  using Error::Error;
};
struct DeviceError : Error {
  using Error::Error;
};
struct KernelError : DeviceError {  // a fault inside a kernel
  using DeviceError::DeviceError;
};
struct TapeError : Error {  // a tape used out of scope, twice, or with a tensor changed since
  using Error::Error;
};
struct NotDifferentiable : TapeError {
  using TapeError::TapeError;
};
struct ValueError : Error {  // an option or an element outside its range
  using Error::Error;
};
struct OutOfMemory : Error {
  using Error::Error;
};
struct FileError : Error {  // names the file; nothing was half-read or half-written
  using Error::Error;
};

// " (at train.cpp:12)", or nothing where the place is unknown.
std::string at(const Site& site);

}  // namespace warptape
