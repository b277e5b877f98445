#pragma once
// Groups the accesses of a kernel's threads into warp requests and counts these. Lanes meet in a
// request by (instruction, how many times the lane came there before): the engine runs lanes one
// after the other, the hardware runs them together.

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "core/simt/block.h"
#include "core/simt/profile/profile.h"
#include "core/simt/profile/request.h"
#include "core/simt/profile/source_lines.h"

namespace warptape::simt::profile {

class Recorder {
 public:
  explicit Recorder(const DeviceRange& device) : device_(device) {}

  // One access by the block's current thread. pc: where the instruction returns to.
  void access(BlockRunner& block, const void* address, unsigned bytes, Access access,
              const void* pc);
  void end_block(const BlockRunner& block);
  std::vector<KernelProfile> result() const;

 private:
  using Key = std::tuple<const void*, Space, Access, unsigned>;  // the last: bytes per lane

  // Requests of one warp that lanes are still to join.
  struct Open {
    uint64_t first = 0;  // occurrence number of requests.front()
    std::deque<Request> requests;
    std::array<uint64_t, warp_size> occurrences{};
  };
  struct Instruction {
    Counts counts;
    std::map<int64_t, uint64_t> strides;       // bytes to requests
    std::vector<std::unique_ptr<Open>> warps;  // of the block that runs
  };
  struct Kernel {
    std::string name;
    uint64_t launches = 0;
    uint64_t blocks = 0;
    unsigned threads_per_block = 0;
    std::map<Key, Instruction> instructions;
  };

  Kernel& kernel(const std::string& name);
  static void count(const Request& request, const Key& key, Instruction& instruction);
  static KernelProfile profile_of(const Kernel& kernel,
                                  const std::map<const void*, SourceLine>& lines);
  static int64_t usual_stride(const Instruction& instruction);

  DeviceRange device_;
  std::vector<std::unique_ptr<Kernel>> kernels_;
  Kernel* running_ = nullptr;  // nullptr between blocks
};

// Told by the engine when a block has run, before its shared memory goes.
#ifdef WARPTAPE_SIMT_PROFILE
void end_block(const BlockRunner& block);
#else
inline void end_block(const BlockRunner&) {}
#endif

}  // namespace warptape::simt::profile
