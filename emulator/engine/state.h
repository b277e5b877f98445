#pragma once
// What the engine's files share beside the block. Internal to the engine.

#include "emulator/engine/block.h"

namespace warptape::simt {

void set_builtins(uint3 thread, uint3 block, dim3 block_dim, dim3 grid_dim);

// For ThreadSanitizer: a grid's threads acquire the first when they start and release the second
// when they end. So the host's work before and after a grid is ordered with all its threads, and
// they are not ordered among each other.
void* grid_start_tag();
void* grid_end_tag();

// While it lives, ThreadSanitizer takes what the engine does on a kernel's thread (allocating,
// formatting) for the scheduler's work.
class OnScheduler {
 public:
  explicit OnScheduler(BlockRunner& runner) : fiber_(runner.current().fiber->context().tsan) {
    tsan_switch_to(runner.scheduler().tsan);
  }
  ~OnScheduler() { tsan_switch_to(fiber_); }
  OnScheduler(const OnScheduler&) = delete;
  OnScheduler& operator=(const OnScheduler&) = delete;

 private:
  TsanFiber fiber_;
};

}  // namespace warptape::simt
