#pragma once
// Image sets for classification, as they are published: MNIST's IDX files and the binary versions
// of CIFAR-10 and CIFAR-100. Nothing is downloaded or unpacked here.

#include <optional>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace warptape {

struct ImageSet {
  Tensor images;  // uint8 (N, C, H, W), row-major
  Tensor labels;  // int64 (N)
};

ImageSet to(const ImageSet& set, Device device);

struct ImageData {
  ImageSet train;
  ImageSet test;
  int64_t classes = 0;
  std::string kind;  // "IDX", "CIFAR-10" or "CIFAR-100"
};

// Recognises the files that lie in `folder` or in one folder in it, any number of images from 1 on:
//   IDX: train-images-idx3-ubyte, train-labels-idx1-ubyte and the same with t10k
//   IDX with a dot: train-images.idx3-ubyte and so on
//   CIFAR-10: data_batch_1.bin and on, in the order of their numbers, and test_batch.bin
//   CIFAR-100: train.bin and test.bin; the fine labels
// IDX has as many classes as its largest training label + 1, at least 2. `classes` replaces that
// number and CIFAR's, for labels that no training image has: all labels have to be below it, and
// CIFAR's numbers are the least.
// Throws FileError for no such files, for two kinds of them, for missing parts and for any damage.
ImageData load_image_data(const std::string& folder, std::optional<int64_t> classes = {});

// The files that it would read.
std::vector<std::string> image_data_files(const std::string& folder);

}  // namespace warptape
