#pragma once
// The header of a safetensors file: a little-endian length of 8 bytes, then that much JSON, then
// the data, which the ranges in the JSON must cover without hole or overlap.

#include <map>
#include <string>
#include <vector>

#include "core/shape.h"

namespace warptape {

class InputFile;

inline constexpr uint64_t max_safetensors_header = 100'000'000;  // as in the reference reader

struct SafetensorsEntry {
  std::string name;
  std::string dtype;  // "F32", ...: one that safetensors_element_size knows
  std::vector<int64_t> shape;
  std::vector<uint64_t> range;  // begin and end, in bytes from the start of the data
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of the JSON
  std::map<std::string, std::string> metadata;
  uint64_t data_start = 0;
};

// Everything about the header is checked, also against the size of the file.
SafetensorsHeader read_safetensors_header(const InputFile& file);

// Bytes per element of the dtypes that Warptape reads, 0 for any other.
int64_t safetensors_element_size(const std::string& dtype);

}  // namespace warptape
