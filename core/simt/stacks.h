#pragma once
// Stacks of fibers, from one mapping with a guard page below each.

#include <memory>
#include <vector>

#include "core/simt/fiber.h"

namespace warptape::simt {

class Stacks {
 public:
  Stacks() = default;
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  // A fiber for the thread with this number. Threads that never suspend share one after the other,
  // except under ThreadSanitizer, which would take what follows on one fiber as ordered.
  Fiber* take(unsigned thread);
  void give_back(Fiber* fiber);
  void take_all_back();  // after a block that ended in an error

 private:
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<void*> mappings_;
  std::vector<Fiber*> free_;
};

}  // namespace warptape::simt
