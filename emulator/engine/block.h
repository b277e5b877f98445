#pragma once
// One block in execution: its threads as fibers, its barriers and warp collectives, its shared
// memory. Internal to the engine.

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "emulator/engine/engine.h"
#include "emulator/engine/fiber.h"
#include "emulator/engine/shared_memory.h"
#include "emulator/engine/stacks.h"

namespace warptape::simt {

inline constexpr unsigned warp_size = 32;

// Literals differ in address where two translation units hold the same one.
inline bool same_text(const char* a, const char* b) {
  return a == b || std::strcmp(a, b) == 0;
}

// Where a thread waits: the primitive and the line of the kernel that called it.
struct WaitSite {
  const char* what = "";
  const char* file = "";
  int line = 0;
  unsigned mask = 0;  // of a warp collective
  bool operator==(const WaitSite& other) const {
    return line == other.line && mask == other.mask && same_text(file, other.file);
  }
};

// A copy that cp.async has started and nobody has waited for.
struct AsyncCopy {
  void* to;
  const void* from;
  unsigned bytes;  // read; the rest of 16 is zero
  unsigned group;
};

struct Thread {
  enum class State : uint8_t { NotStarted, Ready, AtBarrier, InCollective, Done };

  uint3 index{};
  unsigned linear = 0;
  State state = State::NotStarted;
  Fiber* fiber = nullptr;
  WaitSite site{};
  int predicate = 0;  // of __syncthreads_count and its like
  unsigned async_group = 0;
  std::vector<AsyncCopy> async_copies{};
};

// The first fault in a block.
struct BlockError {
  std::string message;  // empty: none
};

// Runs blocks one after the other on the OS thread that calls run(). Keeps its stacks between them.
class BlockRunner {
 public:
  BlockRunner();
  ~BlockRunner();
  BlockRunner(const BlockRunner&) = delete;
  BlockRunner& operator=(const BlockRunner&) = delete;

  // order: what this block's thread orders are drawn from; 0 for ascending ones.
  BlockError run(const Grid& grid, uint3 block, const std::function<void()>& body, uint64_t order);

  // The rest is called by the kernel's threads, through the vocabulary.
  int barrier(const WaitSite& site, int predicate, int (*combine)(int total, int predicate));
  void collective(const WaitSite& site, void* slot,
                  void (*combine)(void* const* slots, unsigned mask), bool orders_memory);
  void* shared(const void* key, size_t bytes);
  void* dynamic_shared() const { return shared_memory_.dynamic(); }
  bool is_shared(const void* address) const { return shared_memory_.contains(address); }
  // Ends the block. Nothing on the calling thread's stack is destroyed: own no memory there.
  [[noreturn]] void fail(std::string message);
  bool overflowed_stack(const void* address) const { return stacks_.guards(address); }
  Thread& current() { return *current_; }
  const Thread& current() const { return *current_; }
  // How often all lanes of the current thread's warp have met: accesses of a request lie between
  // the same two meetings.
  uint64_t meetings() const { return warps_[current_->linear / warp_size].meetings; }
  Context& scheduler() { return scheduler_; }
  const Grid& grid() const { return *grid_; }
  uint3 block() const { return block_; }

 private:
  // Lanes that have arrived at a collective of one mask. As a lane waits for one only, there are
  // never more of them than lanes.
  struct Pending {
    unsigned mask = 0;
    unsigned arrived = 0;
    unsigned phase = 0;
    const char* what = "";
  };
  struct Warp {
    unsigned ready = 0;  // bit p: the lane at place p of the order
    std::array<uint8_t, warp_size> lane_at{};
    std::array<uint8_t, warp_size> place_of{};
    unsigned exists = 0;  // lanes, as below
    unsigned done = 0;
    uint64_t meetings = 0;  // of all its live lanes, at barriers and collectives
    std::array<Pending, warp_size> pending{};
    std::array<void*, warp_size> slots{};
  };

  void set_up(const Grid& grid, uint3 block, uint64_t order);
  void draw_order();
  uint64_t random();
  void make_ready(Thread& thread);
  Thread* take_next();
  void resume_from(Context& from, Thread& thread);
  void suspend();
  void finish_thread();
  void release_barrier(int result);
  void abandon_threads();
  Pending& pending_of(Warp& warp, unsigned mask);
  [[noreturn]] void fail_at_barrier(const WaitSite& site);
  [[noreturn]] void fail_for_mask(const WaitSite& site, const char* fault);
  [[noreturn]] void fail_at_collective(const WaitSite& site, const Pending& pending);
  std::string deadlock() const;
  std::string threads_at(const WaitSite& site) const;
  Warp& warp_of(const Thread& thread) { return warps_[thread.linear / warp_size]; }
  char* barrier_tag();
  char* collective_tag(const Thread& thread, const Pending& pending);
  static void thread_main(void* argument);

  const Grid* grid_ = nullptr;
  uint3 block_{};
  const std::function<void()>* body_ = nullptr;
  uint64_t random_ = 0;
  unsigned threads_in_block_ = 0;
  unsigned warps_in_block_ = 0;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::array<uint8_t, 32> warp_at_{};  // rank to warp
  std::array<uint8_t, 32> rank_of_{};  // warp to rank
  unsigned ready_warps_ = 0;           // bit r: the warp of rank r has a ready lane
  unsigned done_ = 0;
  unsigned arrived_ = 0;
  int barrier_total_ = 0;
  int barrier_result_ = 0;
  unsigned barrier_phase_ = 0;
  WaitSite barrier_site_{};
  Thread* current_ = nullptr;
  Context scheduler_;
  std::vector<char> tags_;  // addresses for ThreadSanitizer
  size_t first_tag_ = 0;    // of this block's
  Stacks stacks_;
  SharedMemory shared_memory_;
  BlockError error_;
};

// The block that the calling OS thread runs; nullptr outside of kernels.
BlockRunner* current_block();

}  // namespace warptape::simt
