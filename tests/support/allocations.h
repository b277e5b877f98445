#pragma once
// What tests do to allocations, through core/allocation_hooks.h.

#include "core/allocation_hooks.h"

namespace warptape {

// While one lives, every block that is handed out is full of 0xFF (NaN in every float type), so
// that a kernel that reads what it never wrote, or leaves out an element, shows.
class PoisonedAllocations {
 public:
  PoisonedAllocations();
  ~PoisonedAllocations();
  PoisonedAllocations(const PoisonedAllocations&) = delete;
  PoisonedAllocations& operator=(const PoisonedAllocations&) = delete;

 private:
  void (*before_)(void*, size_t, Device);
};

// While one lives, the tensors that this thread makes begin one element behind the start of their
// storage, as slices may, so that a kernel that takes 16-byte alignment for granted shows. Tensors
// of bytes do not: workspaces of vendor libraries are such, too.
class OffsetAllocations {
 public:
  explicit OffsetAllocations(bool on = true) : before_(allocation_hooks::first_element) {
    allocation_hooks::first_element = on ? 1 : 0;
  }
  ~OffsetAllocations() { allocation_hooks::first_element = before_; }
  OffsetAllocations(const OffsetAllocations&) = delete;
  OffsetAllocations& operator=(const OffsetAllocations&) = delete;

 private:
  int64_t before_;
};

}  // namespace warptape
