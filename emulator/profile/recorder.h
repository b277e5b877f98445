#pragma once
// Groups the accesses of a kernel's threads into warp requests and counts these. Lanes meet in a
// request by (instruction, calls that lead there, how many times the lane came there before): the
// engine runs lanes one after the other, the hardware runs them together.

#include <array>
#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/simt/build.h"
#include "emulator/engine/block.h"
#include "emulator/profile/profile.h"
#include "emulator/profile/request.h"
#include "emulator/profile/source_lines.h"

namespace warptape::simt::profile {

class Recorder {
 public:
  explicit Recorder(const DeviceRange& device, Each each = Each::Kernel)
      : device_(device), each_(each) {}

  // One access by the block's current thread. pc: where the instruction returns to.
  void access(const BlockRunner& block, const void* address, unsigned bytes, Access access,
              const void* pc);
  // The current thread enters a function that was not inlined, or leaves it.
  void enter(const BlockRunner& block, const void* caller);
  void leave(const BlockRunner& block);
  void end_block(const BlockRunner& block);
  std::vector<KernelProfile> result() const;

 private:
  struct Instruction {
    const void* pc;
    uint64_t calls;  // how its function was called: an index of calls_made_, or 0
    Space space;
    Access access;
    unsigned bytes;  // per lane
    auto operator<=>(const Instruction&) const = default;
  };

  // Requests of one warp that lanes are still to join.
  struct Open {
    uint64_t meetings = 0;  // of the warp, when these began
    uint64_t first = 0;     // occurrence number of requests.front()
    std::deque<Request> requests;
    std::array<uint64_t, warp_size> occurrences{};
  };
  struct Record {
    Counts counts;
    std::map<int64_t, uint64_t> strides;       // bytes to requests
    std::vector<std::unique_ptr<Open>> warps;  // of the block that runs
  };
  struct Kernel {
    std::string name;
    uint64_t launches = 0;
    uint64_t blocks = 0;
    uint64_t all_blocks = 0;  // of its first launch
    unsigned threads_per_block = 0;
    size_t dynamic_shared = 0;
    const void* function = nullptr;
    std::map<Instruction, Record> records;
  };

  Kernel& running(const BlockRunner& block);
  static void count(const Request& request, const Instruction& instruction, Record& record);
  using SourceLines = std::map<const void*, SourceLine>;
  const SourceLine& line_of(const Instruction& instruction, const SourceLines& lines) const;
  KernelProfile profile_of(const Kernel& kernel, const SourceLines& lines) const;
  static int64_t usual_stride(const Record& record);
  std::vector<uint64_t>& calls_of(const BlockRunner& block);

  DeviceRange device_;
  Each each_;
  std::vector<std::unique_ptr<Kernel>> kernels_;
  Kernel* running_ = nullptr;  // nullptr between blocks
  // Calls that were not inlined, as chains: from where, and the number of the call around it.
  struct Call {
    const void* caller;
    uint64_t outer;
    auto operator<=>(const Call&) const = default;
  };
  std::map<Call, uint64_t> call_numbers_;
  std::vector<Call> calls_made_{{nullptr, 0}};          // by number; 0 is no call
  std::vector<std::vector<uint64_t>> calls_of_thread_;  // of the block that runs
};

// Told by the engine when a block has run, before its shared memory goes.
#ifdef WARPTAPE_SIMT_PROFILE
void end_block(const BlockRunner& block);
#else
inline void end_block(const BlockRunner&) {}
#endif

}  // namespace warptape::simt::profile
