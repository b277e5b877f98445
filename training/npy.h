#pragma once
// NumPy's .npy format: one array per file.

#include <string>

#include "core/tensor.h"

namespace warptape {

struct NpyOptions {
  // A u2 array is the bits of bfloat16, which NumPy does not know. Without it u2 is refused: it may
  // as well be whole numbers.
  bool u2_is_bfloat16 = false;
};

// Versions 1 to 3, either byte order, C or Fortran order (the result is row-major in any case). f4,
// f8, u1 and i8 keep their dtype, f2 becomes float32, i4 becomes int64, b1 becomes uint8 of 0 and
// 1. Throws FileError for any other dtype and for anything that is not wholly as the format wants
// it.
Tensor load_npy(const std::string& path, const NpyOptions& options = {});

// Version 1, row-major, little-endian; bfloat16 as the u2 of its bits. Replaces the file in one
// step; FileError for the disk.
void save_npy(const std::string& path, const Tensor& tensor);

}  // namespace warptape
