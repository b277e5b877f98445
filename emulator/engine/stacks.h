#pragma once
// Stacks of fibers, from one mapping with a guard page below each.

#include <memory>
#include <vector>

#include "emulator/engine/fiber.h"

namespace warptape::simt {

class Stacks {
 public:
  Stacks() = default;
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  // Call it before a block's first take().
  void begin_block(unsigned threads);
  // A fiber for the thread with this number. Threads that never suspend share one after the other,
  // except under ThreadSanitizer, which takes what follows on one fiber as ordered: there every
  // thread of a block has its own, and another one in the next block.
  Fiber* take(unsigned thread);
  void give_back(Fiber* fiber);
  void take_all_back();  // after a block that ended in an error
  // Whether `address` lies in the guard below a stack: that stack has overflowed.
  bool guards(const void* address) const;

 private:
  void add();

  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<void*> mappings_;
  std::vector<Fiber*> free_;
  unsigned blocks_ = 0;
};

}  // namespace warptape::simt
