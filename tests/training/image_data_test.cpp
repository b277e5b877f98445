#include "training/image_data.h"

#include <algorithm>
#include <filesystem>

#include "tests/training/bad_files.h"

namespace warptape {
namespace {

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes += static_cast<char>(value >> shift & 0xff);
  }
  return bytes;
}

std::string idx(uint32_t magic, const std::vector<uint32_t>& dims, const std::string& data) {
  std::string bytes = big_endian(magic);
  for (const uint32_t dim : dims) {
    bytes += big_endian(dim);
  }
  return bytes + data;
}

std::string idx_images(uint32_t count, uint32_t height = 2, uint32_t width = 3) {
  std::string pixels(count * height * width, '\0');
  for (size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<char>(i);
  }
  return idx(0x803, {count, height, width}, pixels);
}

std::string idx_labels(const std::string& labels) {
  return idx(0x801, {static_cast<uint32_t>(labels.size())}, labels);
}

// A small valid set; a test replaces the file that it wants to be wrong.
void write_idx(const TemporaryFolder& folder) {
  folder.write("train-images-idx3-ubyte", idx_images(3));
  folder.write("train-labels-idx1-ubyte", idx_labels(std::string("\0\2\1", 3)));
  folder.write("t10k-images-idx3-ubyte", idx_images(2));
  folder.write("t10k-labels-idx1-ubyte", idx_labels(std::string("\0\2", 2)));
}

// Records with the given label bytes; every pixel of record i is first + i.
std::string cifar(const std::vector<std::string>& labels, int first = 0) {
  std::string bytes;
  for (size_t i = 0; i < labels.size(); ++i) {
    bytes += labels[i] + std::string(3072, static_cast<char>(first + static_cast<int>(i)));
  }
  return bytes;
}

void write_cifar10(const TemporaryFolder& folder) {
  folder.write("data_batch_1.bin", cifar({std::string(1, '\0'), "\x09"}));
  folder.write("test_batch.bin", cifar({"\x04"}));
}

void write_cifar100(const TemporaryFolder& folder) {
  folder.write("train.bin", cifar({std::string("\x00\x63", 2), std::string("\x13\x00", 2)}));
  folder.write("test.bin", cifar({"\x05\x06"}));
}

void expect_refused(const TemporaryFolder& folder, const Parts& parts) {
  expect_file_error([&] { load_image_data(folder.path()); }, parts);
}

// Loads the valid set of `write_valid` with one file replaced.
template <class Write>
void expect_refused_with(const Write& write_valid, const std::string& name,
                         const std::string& bytes, Parts parts) {
  SCOPED_TRACE(name);
  const TemporaryFolder folder;
  write_valid(folder);
  folder.write(name, bytes);
  parts.insert(parts.end(), {"[load_image_data]", name});
  expect_refused(folder, parts);
}

TEST(ImageData, LoadsTheDigits) {
  for (const char* folder : {WARPTAPE_SOURCE_DIR "/data/digits", WARPTAPE_SOURCE_DIR "/data"}) {
    const ImageData data = load_image_data(folder);
    EXPECT_EQ(data.kind, "IDX");
    EXPECT_EQ(data.classes, 10);
    EXPECT_EQ(data.train.images.shape(), (Shape{1437, 1, 8, 8}));
    EXPECT_EQ(data.test.images.shape(), (Shape{360, 1, 8, 8}));
    EXPECT_EQ(data.train.labels.shape(), Shape{1437});
    EXPECT_EQ(data.train.images.dtype(), uint8);
    EXPECT_EQ(data.train.labels.dtype(), int64);
  }
}

TEST(ImageData, LoadsIdx) {
  const TemporaryFolder folder;
  write_idx(folder);
  const ImageData data = load_image_data(folder.path());
  EXPECT_EQ(data.classes, 3);
  EXPECT_EQ(data.train.images.to_vector<uint8_t>()[17], 17);
  EXPECT_EQ(data.train.labels.to_vector<int64_t>(), (std::vector<int64_t>{0, 2, 1}));
  EXPECT_EQ(data.test.labels.to_vector<int64_t>(), (std::vector<int64_t>{0, 2}));
}

TEST(ImageData, LoadsIdxLabelsAbove127) {
  const TemporaryFolder folder;
  write_idx(folder);
  folder.write("train-labels-idx1-ubyte", idx_labels("\x7f\x80\xff"));
  const ImageData data = load_image_data(folder.path());
  EXPECT_EQ(data.classes, 256);
  EXPECT_EQ(data.train.labels.to_vector<int64_t>(), (std::vector<int64_t>{127, 128, 255}));
}

TEST(ImageData, LoadsIdxWithDotsAndOneClass) {
  const TemporaryFolder folder;
  folder.write("raw/train-images.idx3-ubyte", idx_images(1));
  folder.write("raw/train-labels.idx1-ubyte", idx_labels(std::string(1, '\0')));
  folder.write("raw/t10k-images.idx3-ubyte", idx_images(1));
  folder.write("raw/t10k-labels.idx1-ubyte", idx_labels("\1"));
  EXPECT_EQ(load_image_data(folder.path()).classes, 2);
  EXPECT_EQ(load_image_data(folder.path("raw")).classes, 2);
}

TEST(ImageData, ClassesMayBeMoreThanTheTrainingLabelsShow) {
  const TemporaryFolder idx;
  write_idx(idx);
  idx.write("t10k-labels-idx1-ubyte", idx_labels("\1\3"));
  EXPECT_EQ(load_image_data(idx.path(), 4).classes, 4);
  EXPECT_EQ(load_image_data(idx.path(), 7).classes, 7);
  EXPECT_EQ(load_image_data(idx.path(), 7).test.labels.to_vector<int64_t>(),
            (std::vector<int64_t>{1, 3}));
  const auto refused = [](const TemporaryFolder& folder, int64_t classes, const Parts& parts) {
    expect_file_error([&] { load_image_data(folder.path(), classes); }, parts);
  };
  refused(idx, 3, {"t10k-labels", "record 1", "got 3", "at most 2"});
  refused(idx, 2, {"train-labels", "record 1", "got 2", "at most 1"});
  const TemporaryFolder ten;
  write_cifar10(ten);
  EXPECT_EQ(load_image_data(ten.path(), 12).classes, 12);
  refused(ten, 9, {ten.path(), "got 9 classes", "CIFAR-10", "up to 9"});
  const TemporaryFolder hundred;
  write_cifar100(hundred);
  refused(hundred, 10, {"got 10 classes", "CIFAR-100", "up to 99"});
}

TEST(ImageData, NamesTheFilesThatItReads) {
  const TemporaryFolder folder;
  write_cifar10(folder);
  folder.write("notes.txt", "");
  std::vector<std::string> files = image_data_files(folder.path());
  std::sort(files.begin(), files.end());
  EXPECT_EQ(files, (std::vector<std::string>{folder.path("data_batch_1.bin"),
                                             folder.path("test_batch.bin")}));
}

TEST(ImageData, LoadsCifar10InTheOrderOfTheNumbers) {
  const TemporaryFolder folder;
  folder.write("cifar-10-batches-bin/data_batch_10.bin", cifar({"\3"}, 30));
  folder.write("cifar-10-batches-bin/data_batch_2.bin", cifar({"\1", "\2"}, 10));
  folder.write("cifar-10-batches-bin/test_batch.bin", cifar({"\x09"}, 200));
  folder.write("cifar-10-batches-bin/batches.meta.txt", "airplane");
  folder.write("cifar-10-batches-bin/data_batch_x.bin", "not one of them");
  const ImageData data = load_image_data(folder.path());
  EXPECT_EQ(data.kind, "CIFAR-10");
  EXPECT_EQ(data.classes, 10);
  EXPECT_EQ(data.train.images.shape(), (Shape{3, 3, 32, 32}));
  EXPECT_EQ(data.train.labels.to_vector<int64_t>(), (std::vector<int64_t>{1, 2, 3}));
  const std::vector<uint8_t> pixels = data.train.images.to_vector<uint8_t>();
  EXPECT_EQ(pixels[0], 10);
  EXPECT_EQ(pixels[3072], 11);
  EXPECT_EQ(pixels[3 * 3072 - 1], 30);
  EXPECT_EQ(data.test.images.to_vector<uint8_t>(), std::vector<uint8_t>(3072, 200));
}

TEST(ImageData, LoadsCifar100WithFineLabels) {
  const TemporaryFolder folder;
  write_cifar100(folder);
  const ImageData data = load_image_data(folder.path());
  EXPECT_EQ(data.kind, "CIFAR-100");
  EXPECT_EQ(data.classes, 100);
  EXPECT_EQ(data.train.labels.to_vector<int64_t>(), (std::vector<int64_t>{99, 0}));
  EXPECT_EQ(data.test.labels.to_vector<int64_t>(), std::vector<int64_t>{6});
}

TEST(ImageData, LoadsManyRecords) {  // more than one piece is read
  const TemporaryFolder folder;
  folder.write("data_batch_1.bin", cifar(std::vector<std::string>(1200, "\7")));
  folder.write("test_batch.bin", cifar({"\x04"}));
  const ImageData data = load_image_data(folder.path());
  EXPECT_EQ(data.train.labels.to_vector<int64_t>(), std::vector<int64_t>(1200, 7));
  const std::vector<uint8_t> pixels = data.train.images.to_vector<uint8_t>();
  for (size_t i = 0; i < pixels.size(); ++i) {
    ASSERT_EQ(pixels[i], i / 3072 % 256) << i;
  }
}

TEST(ImageData, RefusesBadFolders) {
  const TemporaryFolder folder;
  const std::string file = folder.write("file", "x");
  const Parts looked_for = {"train-images-idx3-ubyte", "data_batch_1.bin", "train.bin"};
  const auto refused = [&](const std::string& path, Parts parts) {
    parts.insert(parts.end(), looked_for.begin(), looked_for.end());
    parts.push_back(path);
    expect_file_error([&] { load_image_data(path); }, parts);
  };
  refused(folder.path("missing"), {"No such file"});
  refused(file, {"Not a directory"});
  refused(folder.path(), {"got file,"});
  std::filesystem::create_directory(folder.path("empty"));
  refused(folder.path("empty"), {"got nothing"});
  folder.write("packed/cifar-10-binary.tar.gz", "x");
  refused(folder.path("packed"), {"cifar-10-binary.tar.gz"});
  refused("", {"No such file"});
}

TEST(ImageData, RefusesMissingPartsAndTwoKinds) {
  const TemporaryFolder only_train;
  only_train.write("train-images-idx3-ubyte", idx_images(3));
  only_train.write("train-labels-idx1-ubyte", idx_labels("\1\1\1"));
  expect_refused(only_train, {only_train.path(), "IDX", "train-labels-idx1-ubyte",
                              "wanted also t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte"});
  const TemporaryFolder cifar10;
  cifar10.write("sub/data_batch_1.bin", cifar({"\4"}));
  expect_refused(cifar10, {"sub", "CIFAR-10", "wanted also test_batch.bin"});
  const TemporaryFolder cifar100;
  cifar100.write("test.bin", cifar({"\4\4"}));
  expect_refused(cifar100, {"CIFAR-100", "got test.bin", "wanted also train.bin"});
  const TemporaryFolder both;
  write_idx(both);
  write_cifar10(both);
  expect_refused(both, {"IDX", "CIFAR-10", "one data set"});
  const TemporaryFolder two;
  two.write("cifar-10-batches-bin/test_batch.bin", cifar({"\4"}));
  two.write("cifar-100-binary/train.bin", cifar({"\4\4"}));
  expect_refused(two, {"cifar-10-batches-bin", "cifar-100-binary", "one data set"});
}

TEST(ImageData, RefusesBadIdxFiles) {
  const std::string train_images = "train-images-idx3-ubyte";
  const std::string train_labels = "train-labels-idx1-ubyte";
  struct Case {
    std::string name;
    std::string bytes;
    Parts parts;
  };
  const std::vector<Case> cases = {
      {train_images, "", {"got 0 bytes", "4"}},
      {train_images, std::string("\0\0\x08", 3), {"got 3 bytes"}},
      {train_images, idx(0x803, {3, 2}, ""), {"got 12 bytes", "the 16"}},
      {train_images, idx_labels("\1\1\1"), {"0x00000801", "0x00000803", "swapped"}},
      {train_labels, idx_images(3), {"0x00000803", "0x00000801", "swapped"}},
      {train_images, "\x1f\x8b\x08 packed", {"0x1f8b0820", "gzip", "gunzip"}},
      {train_images, idx(0x800, {}, "x"), {"0x00000800", "0x00000803"}},
      {train_images, idx(0x8ff, {1, 1}, "x"), {"0x000008ff", "0x00000803"}},
      {train_images, idx(0xd03, {1, 1, 1}, "1234"), {"0x00000d03", "0x00000803"}},
      {train_labels, idx(0x800, {}, "x"), {"0x00000800", "0x00000801"}},
      {train_images, idx(0x803, {0, 2, 3}, ""), {"dimension 0", "got 0"}},
      {train_images, idx(0x803, {3, 0, 3}, ""), {"dimension 1", "got 0"}},
      {train_images, idx(0x803, {3, 2, 0}, ""), {"dimension 2", "got 0"}},
      {train_labels, idx(0x801, {0}, ""), {"dimension 0", "got 0"}},
      {train_images,
       idx(0x803, {UINT32_MAX, UINT32_MAX, UINT32_MAX}, "x"),
       {"overflows", "4294967295"}},
      {train_images, idx(0x803, {UINT32_MAX, 65536, 2}, "x"), {"got 17 bytes", "562949953290256"}},
      {train_images, idx_images(3) + "x", {"got 35 bytes", "wanted 34", "(3, 2, 3)"}},
      {train_images, idx_images(3).substr(0, 33), {"got 33 bytes", "wanted 34"}},
      {train_labels, idx_labels("\1\1\1") + "x", {"got 12 bytes", "wanted 11"}},
      {train_labels, idx_labels("\1\1"), {"got 2", "wanted 3", "train-images-idx3-ubyte"}},
      {"t10k-images-idx3-ubyte", idx_images(2, 3, 3), {"got 3 x 3", "wanted 2 x 3", train_images}},
      {"t10k-labels-idx1-ubyte",
       idx_labels("\1\3"),
       {"record 1", "got 3", "at most 2", "--classes"}},
  };
  for (const Case& bad : cases) {
    expect_refused_with(write_idx, bad.name, bad.bytes, bad.parts);
  }
  const TemporaryFolder packed;
  write_idx(packed);
  for (const std::string& name : packed.names()) {
    std::filesystem::rename(packed.path(name), packed.path(name + ".gz"));
    packed.write(name + ".gz", "\x1f\x8b\x08 packed");
  }
  expect_refused(packed, {"train-images-idx3-ubyte.gz", "gunzip"});
}

TEST(ImageData, RefusesBadCifarFiles) {
  const auto ten = [](const std::string& name, const std::string& bytes, const Parts& parts) {
    expect_refused_with(write_cifar10, name, bytes, parts);
  };
  const auto hundred = [](const std::string& name, const std::string& bytes, const Parts& parts) {
    expect_refused_with(write_cifar100, name, bytes, parts);
  };
  const std::string good = cifar({"\1", "\2"});
  ten("data_batch_1.bin", "", {"got 0 bytes", "3073"});
  ten("data_batch_1.bin", good + "x", {"got 6147 bytes", "CIFAR-10", "3073"});
  ten("test_batch.bin", good.substr(1), {"got 6145 bytes", "3073"});
  ten("data_batch_2.bin", cifar({"\1", "\2", "\x0a"}), {"record 2", "got 10", "0 to 9"});
  ten("test_batch.bin", cifar({"\1", "\xff"}), {"record 1", "got 255"});
  ten("data_batch_1.bin", cifar({"\1\2", "\3\4"}),
      {"got 6148", "size and the labels fit CIFAR-100"});
  ten("data_batch_1.bin", cifar({"\xff\2", "\3\4"}), {"got 6148", "size fits CIFAR-100", "3074"});
  ten("data_batch_1.bin", cifar(std::vector<std::string>(3073, "\x13\x63")),
      {"record 0", "got 19", "the labels fit CIFAR-100"});
  hundred("train.bin", good.substr(1), {"got 6145 bytes", "CIFAR-100", "3074"});
  hundred("train.bin", good, {"got 6146 bytes", "fit CIFAR-10 records of 3073"});
  hundred("test.bin", cifar({"\x13\x63", "\x14\x63"}),
          {"coarse label of record 1", "got 20", "19"});
  hundred("test.bin", cifar({"\x13\x64"}), {"record 0", "got 100", "0 to 99"});
}

TEST(ImageData, RefusesSpecialFiles) {
  expect_refuses_special_files([](const std::string& path) {
    const TemporaryFolder folder;
    write_cifar10(folder);
    std::filesystem::remove(folder.path("test_batch.bin"));
    std::filesystem::create_symlink(path, folder.path("test_batch.bin"));
    try {
      load_image_data(folder.path());
    } catch (const FileError& error) {
      throw FileError(error.what() + (" -> " + path));  // the link has another name
    }
  });
}

TEST(ImageData, SurvivesMutations) {
  for (const std::string name : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                 "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    const TemporaryFolder folder;
    write_idx(folder);
    expect_survives_mutations(folder.read(name), [&](const std::string& bytes) {
      folder.write(name, bytes);
      load_image_data(folder.path());
    });
  }
  const TemporaryFolder folder;
  write_cifar10(folder);
  expect_survives_mutations(cifar({"\4"}).substr(0, 3), [&](const std::string& bytes) {
    folder.write("test_batch.bin", bytes + std::string(3070, 'x'));
    load_image_data(folder.path());
  });
}

}  // namespace
}  // namespace warptape
