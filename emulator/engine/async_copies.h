#pragma once
// What of asynchronous copies tests can see: whether a kernel's pipeline is one.

namespace warptape::simt {

// The most groups of copies that a thread had under way behind a cp_async_wait, since the last call
// of this. 0: every wait was for all, so that no copy ran beside arithmetic.
unsigned take_most_async_groups();

}  // namespace warptape::simt
