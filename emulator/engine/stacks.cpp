#include "emulator/engine/stacks.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace warptape::simt {
namespace {

// Frames grow several times under sanitizers and without optimisation. Pages come only when
// touched.
constexpr size_t stack_bytes = 256 << 10;

// Overflowing the stack hits the guard below it: a fault in the kernel that says where. Whole pages
// on every processor, and more than the frames of most functions.
constexpr size_t guard_bytes = 64 << 10;

void* map_stack() {
  void* mapping = ::mmap(nullptr, guard_bytes + stack_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (mapping == MAP_FAILED) {
    throw std::bad_alloc();
  }
  ::mprotect(mapping, guard_bytes, PROT_NONE);
  return mapping;
}

}  // namespace

Stacks::~Stacks() {
  fibers_.clear();
  for (void* mapping : mappings_) {
    ::munmap(mapping, guard_bytes + stack_bytes);
  }
}

void Stacks::add() {
  void* mapping = map_stack();
  mappings_.push_back(mapping);
  fibers_.push_back(
      std::make_unique<Fiber>(static_cast<char*>(mapping) + guard_bytes, stack_bytes));
}

void Stacks::begin_block(unsigned threads) {
  while (thread_sanitizer && fibers_.size() < threads) {
    add();
  }
  ++blocks_;
}

Fiber* Stacks::take(unsigned thread) {
  if (thread_sanitizer) {
    return fibers_[(thread + blocks_) % fibers_.size()].get();
  }
  if (free_.empty()) {
    add();
    return fibers_.back().get();
  }
  Fiber* fiber = free_.back();
  free_.pop_back();
  return fiber;
}

void Stacks::give_back(Fiber* fiber) {
  free_.push_back(fiber);
}

void Stacks::take_all_back() {
  free_.clear();
  for (const auto& fiber : fibers_) {
    free_.push_back(fiber.get());
  }
}

bool Stacks::guards(const void* address) const {
  return std::any_of(mappings_.begin(), mappings_.end(), [=](void* mapping) {
    return address >= mapping && address < static_cast<char*>(mapping) + guard_bytes;
  });
}

}  // namespace warptape::simt
