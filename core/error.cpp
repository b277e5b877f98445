#include "core/error.h"

#include <cstring>
#include <utility>

namespace warptape {

const char* Error::what() const noexcept {
  return message_.empty() ? std::runtime_error::what() : message_.c_str();
}

void Error::set_layer(const void* module, std::string path) {
  module_ = module;
  layer_ = std::move(path);
  message_.clear();
  if (layer_.empty()) {
    return;
  }
  const std::string message = std::runtime_error::what();
  const size_t who = message.rfind('[', 0) == 0 ? message.find("] ") : std::string::npos;
  const size_t rule = who == std::string::npos ? 0 : who + 2;
  message_ = message.substr(0, rule) + layer_ + ": " + message.substr(rule);
}

std::string Site::to_string() const {
  if (file == nullptr) {
    return "unknown place";
  }
  const char* slash = std::strrchr(file, '/');
  return fmt::format("{}:{}", slash ? slash + 1 : file, line);
}

std::string at(const Site& site) {
  return site.file == nullptr ? std::string() : " (at " + site.to_string() + ")";
}

}  // namespace warptape
