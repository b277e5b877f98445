#pragma once
// The memory profile: what a kernel's accesses would cost on a GPU's memory, counted warp by warp
// while the engine runs it, per source line. docs/memory_profile.md says how and what it cannot
// see. Only the build with WARPTAPE_SIMT_PROFILE (preset simt-profile) has it.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/simt/build.h"

namespace warptape::simt::profile {

#ifdef WARPTAPE_SIMT_PROFILE
inline constexpr bool is_built_in = true;
#else
inline constexpr bool is_built_in = false;
#endif

inline constexpr size_t sector_bytes = 32;  // what device memory moves at least

enum class Space : uint8_t { Device, Shared };
enum class Access : uint8_t { Read, Write, Atomic };

// A request is one instruction of one warp: the same access by up to 32 lanes.
struct Counts {
  uint64_t requests = 0;
  uint64_t lanes = 0;          // that take part, summed over the requests
  uint64_t bytes = 0;          // asked for by all of them
  uint64_t sectors = 0;        // device memory: distinct sectors of each request
  uint64_t ideal_sectors = 0;  // what its distinct bytes would fill
  uint64_t sectors_by_16 = 0;  // of requests in which every lane asks for 16 bytes
  uint64_t wavefronts = 0;     // shared memory: passes that bank conflicts make of each request
  uint64_t ideal_wavefronts = 0;

  void add(const Counts& other) {
    requests += other.requests;
    lanes += other.lanes;
    bytes += other.bytes;
    sectors += other.sectors;
    ideal_sectors += other.ideal_sectors;
    sectors_by_16 += other.sectors_by_16;
    wavefronts += other.wavefronts;
    ideal_wavefronts += other.ideal_wavefronts;
  }
  uint64_t moved_bytes() const { return sectors * sector_bytes; }

  // Fractions; what a perfect kernel has where there was no request.
  double efficiency() const { return ratio(ideal_sectors, sectors); }
  double share_of_16() const { return ratio(sectors_by_16, sectors); }  // of what moved
  double idle_lanes() const { return 1 - ratio(lanes, 32 * requests); }
  double bank_factor() const { return ratio(wavefronts, ideal_wavefronts); }
  double wavefronts_per_request() const { return ratio(wavefronts, requests); }

 private:
  static double ratio(uint64_t part, uint64_t whole) {
    return whole == 0 ? 1 : static_cast<double>(part) / static_cast<double>(whole);
  }
};

// What one source line does to one memory in one way.
struct LineProfile {
  std::string file;  // as the compiler names it, or an address if addr2line found none
  int line = 0;
  Space space = Space::Device;
  Access access = Access::Read;
  Counts counts;
  int64_t stride = 0;  // bytes between neighbouring lanes, in most requests
};

struct KernelProfile {
  std::string name;
  uint64_t launches = 0;
  uint64_t blocks = 0;
  unsigned threads_per_block = 0;  // of the last launch
  size_t dynamic_shared = 0;       // bytes per block, of the last launch
  std::string function{};  // the __global__ function with its parameters, if the launch names it
  std::vector<LineProfile> lines{};  // the most expensive first

  Counts total(Space space, Access access) const {
    Counts counts;
    for (const LineProfile& line : lines) {
      if (line.space == space && line.access == access) {
        counts.add(line.counts);
      }
    }
    return counts;
  }
  Counts total(Space space) const {
    Counts counts = total(space, Access::Read);
    counts.add(total(space, Access::Write));
    counts.add(total(space, Access::Atomic));
    return counts;
  }
};

struct DeviceRange {
  const void* begin = nullptr;
  const void* end = nullptr;
};

// What a profile is of: all launches of a kernel together, or each by itself.
enum class Each : uint8_t { Kernel, Launch };

// Profiles the kernels that run until stop(). Accesses within `device` count as device memory; the
// engine knows shared memory; all others (stacks, arguments) are ignored. Blocks run one at a time
// meanwhile. Queued work must have been waited for before either call.
void start(const DeviceRange& device, Each each = Each::Kernel);
std::vector<KernelProfile> stop();  // in the order of the (first) launches

}  // namespace warptape::simt::profile
