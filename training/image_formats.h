#pragma once
// The published forms of image data sets, as they are recognised in a folder. Each is defined
// beside its reader and has a line in image_formats.cpp.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/registry.h"
#include "training/image_data.h"

namespace warptape {

// What one folder holds, by name.
struct FolderListing {
  std::string folder;
  std::vector<std::string> names;    // of everything, sorted
  std::vector<std::string> folders;  // the folders among them, sorted

  bool has(const std::string& name) const;
};

// The files of one data set as far as they are there. A part is what has to be there, by its usual
// name.
struct FoundFiles {
  std::string folder;
  std::map<std::string, std::vector<std::string>> parts;  // names in the folder

  bool is_empty() const;
  std::vector<std::string> paths(const std::string& part) const;
  std::string path(const std::string& part) const { return paths(part).front(); }
};

struct ImageFormat {
  std::string name;         // "IDX"
  std::string description;  // the files that a folder has: "train.bin with test.bin"
  std::function<FoundFiles(const FolderListing&)> find;
  // Of files of which every part is there. classes: instead of the format's own number.
  std::function<ImageData(const FoundFiles&, std::optional<int64_t> classes)> load;
};

Registry<ImageFormat>& image_formats();

}  // namespace warptape
