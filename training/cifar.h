#pragma once
#include <string>
#include <vector>

#include "training/image_data.h"

namespace warptape {

// A record: the label (CIFAR-100: coarse label, fine label), then 32 x 32 red, green, blue values.
struct CifarFormat {
  const char* kind;
  std::vector<int64_t> classes;  // per label byte; the last one is the label that is used

  int64_t record_bytes() const { return static_cast<int64_t>(classes.size()) + 3 * 32 * 32; }
};

const CifarFormat& cifar10_format();
const CifarFormat& cifar100_format();

// The records of all files, in the order of `train_paths`.
ImageData load_cifar(const CifarFormat& format, const std::vector<std::string>& train_paths,
                     const std::string& test_path);

struct ImageFormat;
ImageFormat cifar10_image_format();
ImageFormat cifar100_image_format();

}  // namespace warptape
