#include "training/image_formats.h"

#include <algorithm>
#include <filesystem>

#include "training/cifar.h"
#include "training/idx.h"

namespace warptape {

Registry<ImageFormat>& image_formats() {
  static Registry<ImageFormat> all("image format", {
                                                       idx_image_format(),
                                                       cifar10_image_format(),
                                                       cifar100_image_format(),
                                                   });
  return all;
}

bool FolderListing::has(const std::string& name) const {
  return std::binary_search(names.begin(), names.end(), name);
}

bool FoundFiles::is_empty() const {
  return std::all_of(parts.begin(), parts.end(),
                     [](const auto& part) { return part.second.empty(); });
}

std::vector<std::string> FoundFiles::paths(const std::string& part) const {
  std::vector<std::string> paths;
  for (const std::string& name : parts.at(part)) {
    paths.push_back((std::filesystem::path(folder) / name).string());
  }
  return paths;
}

}  // namespace warptape
