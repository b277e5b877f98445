#include "tools/occupancy.h"

#include <algorithm>
#include <array>
#include <utility>

namespace warptape::tools {
namespace {

// Limits of compute capability 9.0 per multiprocessor: the CUDA C++ Programming Guide, "Compute
// Capabilities", table "Technical Specifications per Compute Capability". How registers and shared
// memory are rounded: cuda_occupancy.h of the toolkit.
constexpr int max_registers = 65536;
constexpr int register_unit = 256;  // a warp gets a multiple of it
constexpr int partitions = 4;       // each has a quarter of the registers, and a warp lives in one
constexpr int max_warps = 64;
constexpr int max_blocks = 32;
constexpr int max_shared = 228 * 1024;
constexpr int reserved_shared = 1024;  // per block
constexpr int shared_unit = 128;

int round_up(int value, int unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace

Occupancy occupancy(int registers, int threads, int shared) {
  const int warps = round_up(threads, 32) / 32;
  const int per_warp = round_up(std::max(registers, 1) * 32, register_unit);
  const std::array<std::pair<const char*, int>, 4> limits = {
      {{"blocks", max_blocks},
       {"warps", max_warps / warps},
       {"registers", max_registers / partitions / per_warp * partitions / warps},
       {"shared", max_shared / round_up(shared + reserved_shared, shared_unit)}}};
  Occupancy result;
  result.blocks = std::min_element(limits.begin(), limits.end(), [](const auto& a, const auto& b) {
                    return a.second < b.second;
                  })->second;
  result.warps = result.blocks * warps;
  result.fraction = static_cast<double>(result.warps) / max_warps;
  for (const auto& [name, blocks] : limits) {
    if (blocks == result.blocks) {
      result.limited_by.emplace_back(name);
    }
  }
  return result;
}

}  // namespace warptape::tools
