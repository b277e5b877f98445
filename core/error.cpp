#include "core/error.h"

#include <cstring>

namespace warptape {

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
