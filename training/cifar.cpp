#include "training/cifar.h"

#include <fmt/format.h>
#include <algorithm>
#include <string_view>

#include "training/file.h"
#include "training/image_formats.h"

namespace warptape {
namespace {

constexpr const char* who = "load_image_data";
constexpr int64_t image_bytes = 3 * 32 * 32;
constexpr int64_t records_per_read = 512;  // about the size of a cache: the bytes are touched twice

const CifarFormat& other_than(const CifarFormat& format) {
  return &format == &cifar10_format() ? cifar100_format() : cifar10_format();
}

bool fits_size(const InputFile& file, const CifarFormat& format) {
  return file.size() > 0 && file.size() % static_cast<uint64_t>(format.record_bytes()) == 0;
}

// The first label of the record that its format does not allow, -1 if there is none.
int64_t bad_label(const uint8_t* record, const CifarFormat& format) {
  for (size_t i = 0; i < format.classes.size(); ++i) {
    if (record[i] >= format.classes[i]) {
      return static_cast<int64_t>(i);
    }
  }
  return -1;
}

// Calls body(first record's number, records, their bytes) for the whole file, piece by piece.
template <class Body>
void for_each_piece(const InputFile& file, const CifarFormat& format, const Body& body) {
  const int64_t size = format.record_bytes();
  const int64_t count = static_cast<int64_t>(file.size()) / size;
  std::vector<uint8_t> buffer(static_cast<size_t>(std::min(count, records_per_read) * size));
  for (int64_t begin = 0; begin < count; begin += records_per_read) {
    const int64_t records = std::min(records_per_read, count - begin);
    file.read(static_cast<uint64_t>(begin * size), buffer.data(),
              static_cast<uint64_t>(records * size));
    body(begin, records, static_cast<const uint8_t*>(buffer.data()));
  }
}

bool fits_labels(const InputFile& file, const CifarFormat& format) {
  bool fits = true;
  for_each_piece(file, format, [&](int64_t, int64_t records, const uint8_t* bytes) {
    for (int64_t i = 0; i < records; ++i) {
      fits = fits && bad_label(bytes + i * format.record_bytes(), format) < 0;
    }
  });
  return fits;
}

// Says so if a file that is not in `format` would be one of the other format.
std::string hint_for(const InputFile& file, const CifarFormat& format) {
  const CifarFormat& other = other_than(format);
  if (!fits_size(file, other)) {
    return "";
  }
  return fmt::format("; {} {} records of {} bytes: is this {} under another name?",
                     fits_labels(file, other) ? "the size and the labels fit" : "the size fits",
                     other.kind, other.record_bytes(), other.kind);
}

int64_t count_records(const InputFile& file, const CifarFormat& format) {
  if (!fits_size(file, format)) {
    file.fail(fmt::format("size: got {} bytes, wanted one or more {} records of {} bytes{}",
                          file.size(), format.kind, format.record_bytes(), hint_for(file, format)));
  }
  return static_cast<int64_t>(file.size()) / format.record_bytes();
}

[[noreturn]] void fail_label(const InputFile& file, const CifarFormat& format, int64_t record,
                             int64_t which, int64_t label) {
  const bool is_coarse = which + 1 < static_cast<int64_t>(format.classes.size());
  file.fail(fmt::format("{} of record {} (counted from 0): got {}, wanted 0 to {}{}",
                        is_coarse ? "coarse label" : "label", record, label,
                        format.classes[static_cast<size_t>(which)] - 1, hint_for(file, format)));
}

// Copies the records of one file to rows of the set from `first_row` on.
void read_records(const InputFile& file, const CifarFormat& format, ImageSet& set,
                  int64_t first_row) {
  const auto label_bytes = static_cast<int64_t>(format.classes.size());
  uint8_t* images = set.images.mutable_data<uint8_t>();
  int64_t* labels = set.labels.mutable_data<int64_t>();
  for_each_piece(file, format, [&](int64_t begin, int64_t records, const uint8_t* bytes) {
    for (int64_t i = 0; i < records; ++i) {
      const uint8_t* record = bytes + i * format.record_bytes();
      const int64_t bad = bad_label(record, format);
      if (bad >= 0) {
        fail_label(file, format, begin + i, bad, record[bad]);
      }
      const int64_t row = first_row + begin + i;
      labels[row] = record[label_bytes - 1];
      std::copy_n(record + label_bytes, image_bytes, images + row * image_bytes);
    }
  });
}

ImageSet read_set(const std::vector<std::string>& paths, const CifarFormat& format) {
  std::vector<int64_t> counts;
  int64_t total = 0;
  for (const std::string& path : paths) {
    counts.push_back(count_records(InputFile(path, who), format));
    total += counts.back();
  }
  ImageSet set{Tensor::empty({total, 3, 32, 32}, uint8), Tensor::empty({total}, int64)};
  int64_t row = 0;
  for (size_t i = 0; i < paths.size(); ++i) {
    const InputFile file(paths[i], who);
    const int64_t count = count_records(file, format);
    file.require(count == counts[i], "records: got {}, there were {} a moment ago", count,
                 counts[i]);
    read_records(file, format, set, row);
    row += count;
  }
  return set;
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

FoundFiles find_cifar10(const FolderListing& listing) {
  FoundFiles found{listing.folder, {}};
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

FoundFiles find_cifar100(const FolderListing& listing) {
  FoundFiles found{listing.folder, {}};
  for (const char* name : {"train.bin", "test.bin"}) {
    found.parts[name] = {};
    if (listing.has(name)) {
      found.parts[name] = {name};
    }
  }
  return found;
}

// train, test: the parts with the records of either.
ImageFormat image_format(const CifarFormat& format, const char* description,
                         FoundFiles (*find)(const FolderListing&), const char* train,
                         const char* test) {
  const auto load = [&format, train, test](const FoundFiles& files,
                                           std::optional<int64_t> classes) {
    const int64_t least = format.classes.back();
    if (classes && *classes < least) {
      throw FileError(fmt::format("[{}] {}: got {} classes, {} has labels up to {}", who,
                                  escaped(files.folder), *classes, format.kind, least - 1));
    }
    ImageData data = load_cifar(format, files.paths(train), files.path(test));
    data.classes = classes.value_or(least);
    return data;
  };
  return {format.kind, description, find, load};
}

}  // namespace

const CifarFormat& cifar10_format() {
  static const CifarFormat format{"CIFAR-10", {10}};
  return format;
}

const CifarFormat& cifar100_format() {
  static const CifarFormat format{"CIFAR-100", {20, 100}};
  return format;
}

ImageData load_cifar(const CifarFormat& format, const std::vector<std::string>& train_paths,
                     const std::string& test_path) {
  return {read_set(train_paths, format), read_set({test_path}, format), format.classes.back(),
          format.kind};
}

ImageFormat cifar10_image_format() {
  return image_format(cifar10_format(), "data_batch_1.bin and on with test_batch.bin", find_cifar10,
                      "data_batch_1.bin", "test_batch.bin");
}

ImageFormat cifar100_image_format() {
  return image_format(cifar100_format(), "train.bin with test.bin", find_cifar100, "train.bin",
                      "test.bin");
}

}  // namespace warptape
