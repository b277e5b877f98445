#pragma once
// The safetensors format: weights that Python and C++ exchange without running code from the file.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace warptape {

struct NamedTensors {
  std::vector<std::pair<std::string, Tensor>> tensors;  // in the order of the file's header
  std::map<std::string, std::string> metadata;
};

// F32, F64, BF16, U8 and I64 keep their dtype; F16 becomes float32. Throws FileError for anything
// that is not wholly as the format wants it, before allocating what the header claims.
NamedTensors load_safetensors(const std::string& path);

// Any memory format (the file is row-major), any values. Replaces the file in one step. Throws
// ValueError for a name that is there twice, is not UTF-8 or is "__metadata__", FileError for the
// disk.
void save_safetensors(const std::string& path,
                      const std::vector<std::pair<std::string, Tensor>>& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace warptape
