// Warp collectives: the last lane of the mask to arrive computes for all.

#include <bit>

#include "emulator/engine/block.h"

namespace warptape::simt {

BlockRunner::Pending& BlockRunner::pending_of(Warp& warp, unsigned mask) {
  Pending* unused = nullptr;
  for (Pending& pending : warp.pending) {
    if (pending.mask == mask) {
      return pending;
    }
    if (unused == nullptr && pending.arrived == 0) {
      unused = &pending;
    }
  }
  unused->mask = mask;
  return *unused;
}

void BlockRunner::collective(const WaitSite& site, void* slot,
                             void (*combine)(void* const*, unsigned), bool orders_memory) {
  Thread& thread = *current_;
  Warp& warp = warp_of(thread);
  const unsigned lane = thread.linear % warp_size;
  const unsigned own = 1u << lane;
  const unsigned mask = site.mask;
  thread.site = site;
  if ((mask & own) == 0) {
    fail_for_mask(site, "does not name its own lane");
  }
  if ((mask & ~(warp.exists & ~warp.done)) != 0) {
    fail_for_mask(site, "names lanes that have exited or never were");
  }
  Pending& pending = pending_of(warp, mask);
  if (pending.arrived != 0 && !same_text(pending.what, site.what)) {
    fail_at_collective(site, pending);
  }
  pending.what = site.what;
  pending.arrived |= own;
  warp.slots[lane] = slot;
  char* order = collective_tag(thread, pending);
  if (orders_memory) {
    tsan_release(order);
  }
  if (pending.arrived != mask) {
    thread.state = Thread::State::InCollective;
    suspend();
  } else {
    pending.arrived = 0;
    pending.phase ^= 1;
    warp.meetings += mask == (warp.exists & ~warp.done);
    if (combine != nullptr) {
      combine(warp.slots.data(), mask);
    }
    const unsigned first = thread.linear - lane;
    for (unsigned others = mask & ~own; others != 0; others &= others - 1) {
      make_ready(threads_[first + static_cast<unsigned>(std::countr_zero(others))]);
    }
  }
  if (orders_memory) {
    tsan_acquire(order);
  }
}

}  // namespace warptape::simt
