#include "training/image_data.h"

#include <fmt/format.h>
#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "training/file.h"
#include "training/image_formats.h"

namespace warptape {
namespace {

namespace fs = std::filesystem;

// "A (IDX), B (CIFAR-10) or C (CIFAR-100)"
std::string looked_for() {
  std::vector<std::string> texts;
  for (const ImageFormat& format : image_formats().all()) {
    texts.push_back(fmt::format("{} ({})", format.description, format.name));
  }
  return joined_by_or(texts);
}

[[noreturn]] void fail(const fs::path& path, const std::string& message) {
  throw FileError(fmt::format("[load_image_data] {}: {}", escaped(path.string()), message));
}

// Throws for a folder that cannot be read.
FolderListing list(const fs::path& folder) {
  FolderListing listing{folder.string(), {}, {}};
  std::error_code code;
  fs::directory_iterator entry(folder, code);
  for (; !code && entry != fs::directory_iterator(); entry.increment(code)) {
    std::error_code ignored;  // a dangling link is no folder
    listing.names.push_back(entry->path().filename().string());
    if (entry->is_directory(ignored)) {
      listing.folders.push_back(listing.names.back());
    }
  }
  if (code) {
    fail(folder,
         fmt::format("folder: got \"{}\", wanted one with {}", code.message(), looked_for()));
  }
  std::sort(listing.names.begin(), listing.names.end());
  std::sort(listing.folders.begin(), listing.folders.end());
  return listing;
}

struct Found {
  const ImageFormat* format;
  FoundFiles files;
};

void add_found(const FolderListing& listing, std::vector<Found>& all) {
  for (const ImageFormat& format : image_formats().all()) {
    FoundFiles files = format.find(listing);
    if (!files.is_empty()) {
      all.push_back({&format, std::move(files)});
    }
  }
}

[[noreturn]] void fail_nothing_found(const FolderListing& listing) {
  constexpr size_t most = 5;
  std::vector<std::string> names = listing.names;
  const bool is_cut = names.size() > most;
  names.resize(std::min(names.size(), most));
  std::transform(names.begin(), names.end(), names.begin(), excerpt);
  fail(listing.folder,
       fmt::format("no image data in it or in a folder in it: got {}{}, wanted {}",
                   names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", ")),
                   is_cut ? ", ..." : "", looked_for()));
}

// The one data set in `folder` or in a folder in it.
Found find(const fs::path& folder) {
  const FolderListing listing = list(folder);
  std::vector<Found> all;
  add_found(listing, all);
  for (const std::string& name : listing.folders) {
    try {
      add_found(list(folder / name), all);
    } catch (const FileError&) {
      continue;  // a folder that may not be read is not where the data is
    }
  }
  if (all.empty()) {
    fail_nothing_found(listing);
  }
  if (all.size() > 1) {
    fail(folder, fmt::format("got {} in {} and {} in {}, wanted one data set: name its folder",
                             all[0].format->name, escaped(all[0].files.folder), all[1].format->name,
                             escaped(all[1].files.folder)));
  }
  return all[0];
}

void check_complete(const Found& found) {
  std::vector<std::string> missing;
  std::vector<std::string> present;
  for (const auto& [part, names] : found.files.parts) {
    (names.empty() ? missing : present).push_back(part);
  }
  if (!missing.empty()) {
    fail(found.files.folder, fmt::format("{} data: got {}, wanted also {}", found.format->name,
                                         fmt::join(present, ", "), fmt::join(missing, ", ")));
  }
}

}  // namespace

ImageSet to(const ImageSet& set, Device device) {
  return {set.images.to(device), set.labels.to(device)};
}

std::vector<std::string> image_data_files(const std::string& folder) {
  const Found found = find(folder);
  check_complete(found);
  std::vector<std::string> files;
  for (const auto& [part, names] : found.files.parts) {
    const std::vector<std::string> paths = found.files.paths(part);
    files.insert(files.end(), paths.begin(), paths.end());
  }
  return files;
}

ImageData load_image_data(const std::string& folder, std::optional<int64_t> classes) {
  const Found found = find(folder);
  check_complete(found);
  ImageData data = found.format->load(found.files, classes);
  data.kind = found.format->name;
  return data;
}

}  // namespace warptape
