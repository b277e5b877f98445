#pragma once
#include <string>

#include "training/image_data.h"

namespace warptape {

struct IdxPaths {
  std::string train_images;
  std::string train_labels;
  std::string test_images;
  std::string test_labels;
};

// The IDX format: 00 00, element type, rank, big-endian u32 sizes, elements.
ImageData load_idx(const IdxPaths& paths, std::optional<int64_t> classes = {});

struct ImageFormat;
ImageFormat idx_image_format();

}  // namespace warptape
