#pragma once
// Where tests reach into allocations; null and 0 elsewhere. What they do there is theirs
// (tests/support/allocations.h).

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/device/device.h"

namespace warptape::allocation_hooks {

// Called with each block that is handed out, before anybody uses it.
inline std::atomic<void (*)(void* data, size_t bytes, Device device)> after_allocation{nullptr};

// Where the tensors that this thread makes begin in their storages, in elements, bytes excepted.
inline thread_local constinit int64_t first_element = 0;

}  // namespace warptape::allocation_hooks
