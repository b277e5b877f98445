#include "core/simt/stacks.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace warptape::simt {
namespace {

// Frames grow several times under sanitizers and without optimisation. Pages come only when
// touched.
constexpr size_t stack_bytes = 256 << 10;

size_t guard_bytes() {
  static const auto bytes = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

// Overflowing the stack hits the guard page: a fault in the kernel that says where.
void* map_stack() {
  void* mapping = ::mmap(nullptr, guard_bytes() + stack_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (mapping == MAP_FAILED) {
    throw std::bad_alloc();
  }
  ::mprotect(mapping, guard_bytes(), PROT_NONE);
  return mapping;
}

}  // namespace

Stacks::~Stacks() {
  fibers_.clear();
  for (void* mapping : mappings_) {
    ::munmap(mapping, guard_bytes() + stack_bytes);
  }
}

Fiber* Stacks::take(unsigned thread) {
  if (!thread_sanitizer && !free_.empty()) {
    Fiber* fiber = free_.back();
    free_.pop_back();
    return fiber;
  }
  const size_t wanted = thread_sanitizer ? thread + size_t{1} : fibers_.size() + 1;
  while (fibers_.size() < wanted) {
    void* mapping = map_stack();
    mappings_.push_back(mapping);
    fibers_.push_back(
        std::make_unique<Fiber>(static_cast<char*>(mapping) + guard_bytes(), stack_bytes));
  }
  return fibers_[wanted - 1].get();
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

}  // namespace warptape::simt
