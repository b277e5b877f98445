#include "training/image_data.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "training/cifar.h"
#include "training/file.h"
#include "training/idx.h"

namespace warptape {
namespace {

namespace fs = std::filesystem;

constexpr const char* looked_for =
    "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
    "t10k-labels-idx1-ubyte (IDX), data_batch_1.bin and on with test_batch.bin (CIFAR-10), or "
    "train.bin with test.bin (CIFAR-100)";

[[noreturn]] void fail(const fs::path& path, const std::string& message) {
  throw FileError(fmt::format("[load_image_data] {}: {}", escaped(path.string()), message));
}

// What one folder holds, by name.
struct Listing {
  fs::path folder;
  std::vector<std::string> names;    // of everything, sorted
  std::vector<std::string> folders;  // the folders among them, sorted

  bool has(const std::string& name) const {
    return std::binary_search(names.begin(), names.end(), name);
  }
};

// Throws for a folder that cannot be read.
Listing list(const fs::path& folder) {
  Listing listing{folder, {}, {}};
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
    fail(folder, fmt::format("folder: got \"{}\", wanted one with {}", code.message(), looked_for));
  }
  std::sort(listing.names.begin(), listing.names.end());
  std::sort(listing.folders.begin(), listing.folders.end());
  return listing;
}

// The files of one data set as far as they are there. A part is a train or test file by its usual
// name.
struct Found {
  std::string kind;
  fs::path folder;
  std::map<std::string, std::vector<std::string>> parts;

  bool is_empty() const {
    return std::all_of(parts.begin(), parts.end(),
                       [](const auto& part) { return part.second.empty(); });
  }
  std::string path(const std::string& part) const {
    return (folder / parts.at(part).front()).string();
  }
};

Found find_idx(const Listing& listing) {
  Found found{"IDX", listing.folder, {}};
  for (const std::string part : {"train-images", "train-labels", "t10k-images", "t10k-labels"}) {
    const std::string rank = part.ends_with("images") ? "3" : "1";
    std::vector<std::string>& names = found.parts[part + "-idx" + rank + "-ubyte"];
    // Packed files are taken too, for the sake of the message that they bring.
    for (const char* packed : {"", ".gz"}) {
      for (const char* separator : {"-", "."}) {
        const std::string name = part + separator + "idx" + rank + "-ubyte" + packed;
        if (listing.has(name)) {
          names.push_back(name);
        }
      }
    }
  }
  return found;
}

// The number in data_batch_<number>.bin, -1 if the name is another.
int64_t batch_number(const std::string& name) {
  constexpr std::string_view prefix = "data_batch_";
  constexpr std::string_view suffix = ".bin";
  constexpr size_t most_digits = 9;
  if (!name.starts_with(prefix) || !name.ends_with(suffix) ||
      name.size() <= prefix.size() + suffix.size()) {
    return -1;
  }
  const std::string digits =
      name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  const bool is_number = std::all_of(digits.begin(), digits.end(),
                                     [](char digit) { return digit >= '0' && digit <= '9'; });
  return is_number && digits.size() <= most_digits ? std::stoll(digits) : -1;
}

Found find_cifar10(const Listing& listing) {
  Found found{"CIFAR-10", listing.folder, {}};
  std::vector<std::string>& batches = found.parts["data_batch_1.bin"];
  for (const std::string& name : listing.names) {
    if (batch_number(name) >= 0) {
      batches.push_back(name);
    }
  }
  std::stable_sort(batches.begin(), batches.end(), [](const std::string& a, const std::string& b) {
    return batch_number(a) < batch_number(b);
  });
  found.parts["test_batch.bin"] = {};
  if (listing.has("test_batch.bin")) {
    found.parts["test_batch.bin"] = {"test_batch.bin"};
  }
  return found;
}

Found find_cifar100(const Listing& listing) {
  Found found{"CIFAR-100", listing.folder, {}};
  for (const char* name : {"train.bin", "test.bin"}) {
    found.parts[name] = {};
    if (listing.has(name)) {
      found.parts[name] = {name};
    }
  }
  return found;
}

void add_found(const Listing& listing, std::vector<Found>& all) {
  for (Found found : {find_idx(listing), find_cifar10(listing), find_cifar100(listing)}) {
    if (!found.is_empty()) {
      all.push_back(std::move(found));
    }
  }
}

[[noreturn]] void fail_nothing_found(const Listing& listing) {
  constexpr size_t most = 5;
  std::vector<std::string> names = listing.names;
  const bool is_cut = names.size() > most;
  names.resize(std::min(names.size(), most));
  std::transform(names.begin(), names.end(), names.begin(), excerpt);
  fail(listing.folder,
       fmt::format("no image data in it or in a folder in it: got {}{}, wanted {}",
                   names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", ")),
                   is_cut ? ", ..." : "", looked_for));
}

// The one data set in `folder` or in a folder in it.
Found find(const fs::path& folder) {
  const Listing listing = list(folder);
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
                             all[0].kind, escaped(all[0].folder.string()), all[1].kind,
                             escaped(all[1].folder.string())));
  }
  return all[0];
}

void check_complete(const Found& found) {
  std::vector<std::string> missing;
  std::vector<std::string> present;
  for (const auto& [part, names] : found.parts) {
    (names.empty() ? missing : present).push_back(part);
  }
  if (!missing.empty()) {
    fail(found.folder, fmt::format("{} data: got {}, wanted also {}", found.kind,
                                   fmt::join(present, ", "), fmt::join(missing, ", ")));
  }
}

ImageData load_found(const Found& found, std::optional<int64_t> classes) {
  if (found.kind == "IDX") {
    return load_idx({found.path("train-images-idx3-ubyte"), found.path("train-labels-idx1-ubyte"),
                     found.path("t10k-images-idx3-ubyte"), found.path("t10k-labels-idx1-ubyte")},
                    classes);
  }
  const bool is_cifar10 = found.kind == "CIFAR-10";
  const CifarFormat& format = is_cifar10 ? cifar10_format() : cifar100_format();
  const int64_t least = format.classes.back();
  if (classes && *classes < least) {
    fail(found.folder,
         fmt::format("got {} classes, {} has labels up to {}", *classes, found.kind, least - 1));
  }
  std::vector<std::string> train;
  for (const std::string& name : found.parts.at(is_cifar10 ? "data_batch_1.bin" : "train.bin")) {
    train.push_back((found.folder / name).string());
  }
  ImageData data =
      load_cifar(format, train, found.path(is_cifar10 ? "test_batch.bin" : "test.bin"));
  data.classes = classes.value_or(least);
  return data;
}

}  // namespace

ImageSet to(const ImageSet& set, Device device) {
  return {set.images.to(device), set.labels.to(device)};
}

std::vector<std::string> image_data_files(const std::string& folder) {
  const Found found = find(folder);
  check_complete(found);
  std::vector<std::string> files;
  for (const auto& [part, names] : found.parts) {
    for (const std::string& name : names) {
      files.push_back((found.folder / name).string());
    }
  }
  return files;
}

ImageData load_image_data(const std::string& folder, std::optional<int64_t> classes) {
  const Found found = find(folder);
  check_complete(found);
  return load_found(found, classes);
}

}  // namespace warptape
