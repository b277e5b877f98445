#pragma once
// The header of a .npy file: "\x93NUMPY", two bytes of version, the length, then a Python dict.

#include <string>
#include <vector>

#include "core/shape.h"

namespace warptape {

class InputFile;

struct NpyHeader {
  std::string descr;  // as NumPy writes a dtype: "<f4"
  bool fortran_order = false;
  std::vector<int64_t> shape;
  uint64_t data_start = 0;
};

NpyHeader read_npy_header(const InputFile& file);

}  // namespace warptape
