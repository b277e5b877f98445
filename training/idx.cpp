#include "training/idx.h"

#include <algorithm>
#include <array>
#include <vector>

#include "training/file.h"
#include "training/image_formats.h"

namespace warptape {
namespace {

constexpr const char* who = "load_image_data";
constexpr uint32_t images_magic = 0x00000803;  // bytes, three dimensions
constexpr uint32_t labels_magic = 0x00000801;  // bytes, one dimension

uint32_t big_endian(const InputFile& file, uint64_t offset) {
  std::array<uint8_t, 4> bytes{};
  file.read(offset, bytes.data(), bytes.size());
  uint32_t value = 0;
  for (const uint8_t byte : bytes) {
    value = value << 8 | byte;
  }
  return value;
}

const char* hint_for(uint32_t magic) {
  if (magic >> 16 == 0x1f8b) {
    return "; this is a gzip file: unpack it with gunzip first";
  }
  if (magic == images_magic || magic == labels_magic) {
    return "; are the files of images and labels swapped?";
  }
  return "";
}

// Reads and checks the sizes that follow the magic number: `rank` of them, against the file's size.
Shape read_shape(const InputFile& file, uint32_t wanted_magic) {
  file.require(file.size() >= 4, "size: got {} bytes, wanted at least the 4 of the magic number",
               file.size());
  const uint32_t magic = big_endian(file, 0);
  file.require(magic == wanted_magic, "magic number: got 0x{:08x}, wanted 0x{:08x}{}", magic,
               wanted_magic, hint_for(magic));
  const int rank = static_cast<int>(magic & 0xff);
  const auto header = static_cast<uint64_t>(4 + 4 * rank);
  file.require(file.size() >= header, "size: got {} bytes, wanted at least the {} of the header",
               file.size(), header);
  Shape shape;
  int64_t bytes = 1;
  bool fits = true;
  for (int dim = 0; dim < rank; ++dim) {
    shape.append(big_endian(file, static_cast<uint64_t>(4 + 4 * dim)));
    file.require(shape[dim] > 0, "dimension {}: got 0, wanted 1 or more", dim);
    fits = fits && !__builtin_mul_overflow(bytes, shape[dim], &bytes);
  }
  file.require(fits, "dimensions: got {}, whose product overflows 64 bits", shape);
  file.require(file.size() - header == static_cast<uint64_t>(bytes),
               "size: got {} bytes, wanted {} ({} of header and {} for dimensions {})", file.size(),
               header + static_cast<uint64_t>(bytes), header, bytes, shape);
  return shape;
}

Tensor read_images(const InputFile& file) {
  const Shape shape = read_shape(file, images_magic);
  Tensor images = Tensor::empty({shape[0], 1, shape[1], shape[2]}, uint8);
  file.read(16, images.mutable_raw_data(), static_cast<uint64_t>(images.bytes()));
  return images;
}

Tensor read_labels(const InputFile& file) {
  const Shape shape = read_shape(file, labels_magic);
  const std::string bytes = file.read_bytes(8, static_cast<uint64_t>(shape[0]));
  Tensor labels = Tensor::empty(shape, int64);
  std::transform(bytes.begin(), bytes.end(), labels.mutable_data<int64_t>(),
                 [](char byte) { return int64_t{static_cast<uint8_t>(byte)}; });
  return labels;
}

ImageSet read_set(const InputFile& images_file, const InputFile& labels_file) {
  ImageSet set{read_images(images_file), read_labels(labels_file)};
  labels_file.require(set.labels.size(0) == set.images.size(0),
                      "number of labels: got {}, wanted {} as there are images in {}",
                      set.labels.size(0), set.images.size(0), escaped(images_file.path()));
  return set;
}

int64_t count_classes(const Tensor& labels) {
  const int64_t* values = labels.data<int64_t>();
  return std::max<int64_t>(2, *std::max_element(values, values + labels.numel()) + 1);
}

void check_labels(const InputFile& file, const Tensor& labels, int64_t classes, const char* why) {
  const int64_t* values = labels.data<int64_t>();
  for (int64_t i = 0; i < labels.numel(); ++i) {
    file.require(values[i] < classes,
                 "label of record {} (counted from 0): got {}, wanted at most {}, {}", i, values[i],
                 classes - 1, why);
  }
}

FoundFiles find_idx(const FolderListing& listing) {
  FoundFiles found{listing.folder, {}};
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

}  // namespace

ImageData load_idx(const IdxPaths& paths, std::optional<int64_t> classes) {
  const InputFile train_images(paths.train_images, who);
  const InputFile train_labels(paths.train_labels, who);
  const InputFile test_images(paths.test_images, who);
  const InputFile test_labels(paths.test_labels, who);
  ImageData data;
  data.train = read_set(train_images, train_labels);
  data.test = read_set(test_images, test_labels);
  const Shape& train = data.train.images.shape();
  const Shape& test = data.test.images.shape();
  test_images.require(train[2] == test[2] && train[3] == test[3],
                      "image size: got {} x {}, wanted {} x {} as in {}", test[2], test[3],
                      train[2], train[3], escaped(train_images.path()));
  data.classes = classes.value_or(count_classes(data.train.labels));
  const char* why = classes ? "as there are so many classes"
                            : "the largest in training, unless the number of classes is given "
                              "(--classes)";
  check_labels(train_labels, data.train.labels, data.classes, why);
  check_labels(test_labels, data.test.labels, data.classes, why);
  return data;
}

ImageFormat idx_image_format() {
  const auto load = [](const FoundFiles& files, std::optional<int64_t> classes) {
    return load_idx({files.path("train-images-idx3-ubyte"), files.path("train-labels-idx1-ubyte"),
                     files.path("t10k-images-idx3-ubyte"), files.path("t10k-labels-idx1-ubyte")},
                    classes);
  };
  return {"IDX",
          "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
          "t10k-labels-idx1-ubyte",
          find_idx, load};
}

}  // namespace warptape
