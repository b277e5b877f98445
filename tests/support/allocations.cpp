#include "tests/support/allocations.h"

namespace warptape {
namespace {

void fill_with_nan(void* data, size_t bytes, Device device) {
  backend(device).fill_bytes(data, 0xFF, bytes);
}

}  // namespace

PoisonedAllocations::PoisonedAllocations()
    : before_(allocation_hooks::after_allocation.exchange(fill_with_nan)) {}

PoisonedAllocations::~PoisonedAllocations() {
  allocation_hooks::after_allocation = before_;
}

}  // namespace warptape
