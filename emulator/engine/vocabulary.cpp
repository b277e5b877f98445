// The vocabulary's entry points into the block that runs.

#include <fmt/format.h>

#include <atomic>

#include "core/simt/simt.h"
#include "emulator/engine/async_copies.h"
#include "emulator/engine/barrier_sites.h"
#include "emulator/engine/state.h"

namespace warptape::simt::engine {
namespace {

BlockRunner& block() {
  return *current_block();
}

std::atomic<unsigned> most_async_groups{0};

void note_async_groups(const Thread& thread) {
  const unsigned groups =
      thread.async_copies.empty() ? 0 : thread.async_group - thread.async_copies.front().group;
  unsigned most = most_async_groups;
  while (most < groups && !most_async_groups.compare_exchange_weak(most, groups)) {
  }
}

}  // namespace

int block_barrier(const char* what, int predicate, int (*combine)(int, int), const char* file,
                  int line) {
  return skips_barrier(file, line) ? predicate
                                   : block().barrier({what, file, line}, predicate, combine);
}

void warp_collective(const char* what, unsigned mask, void* slot,
                     void (*combine)(void* const*, unsigned), bool orders_memory, const char* file,
                     int line) {
  if (orders_memory && skips_barrier(file, line)) {
    return;  // __syncwarp; the others exchange values, without which nothing would be left to test
  }
  block().collective({what, file, line, mask}, slot, combine, orders_memory);
}

void* shared_variable(const void* key, size_t bytes) {
  return block().shared(key, bytes);
}

void* dynamic_shared_memory() {
  if (block().dynamic_shared() == nullptr) {
    const OnScheduler errand(block());
    block().fail(fmt::format("dynamic shared memory: the launch asked for none, thread {}",
                             block().current().linear));
  }
  return block().dynamic_shared();
}

void misaligned(const void* pointer, const char* what, int bytes) {
  const OnScheduler errand(block());
  block().fail(fmt::format("{}: the address {} is not aligned to {} bytes, thread {}", what,
                           pointer, bytes, block().current().linear));
}

void bad_width(const char* what, int width) {
  const OnScheduler errand(block());
  block().fail(fmt::format("{}: width {}, wanted a power of two up to 32, thread {}", what, width,
                           block().current().linear));
}

void check_shared(const void* pointer, const char* what) {
  if (!block().is_shared(pointer)) {
    const OnScheduler errand(block());
    block().fail(fmt::format("{}: the address {} is not in the block's shared memory, thread {}",
                             what, pointer, block().current().linear));
  }
}

void make_undefined16(void* to) {
  *static_cast<Word4*>(to) = Word4{~0u, ~0u, ~0u, ~0u};
#ifdef WARPTAPE_TSAN
  __tsan_write16(to);
#endif
}

void start_async_copy(void* to, const void* from, unsigned bytes) {
  check_shared(to, "cp_async16 to");
  const OnScheduler errand(block());
  Thread& thread = block().current();
  if (bytes > 0 && block().is_shared(from)) {
    block().fail(fmt::format(
        "cp_async16 from: the address {} is in shared memory, wanted device memory, thread {}",
        from, thread.linear));
  }
  if (bytes > 16) {
    block().fail(
        fmt::format("cp_async16: {} bytes, wanted at most 16, thread {}", bytes, thread.linear));
  }
  thread.async_copies.push_back({to, from, bytes, thread.async_group});
}

void commit_async_copies() {
  ++block().current().async_group;
}

bool take_async_copy(unsigned keep, void** to, const void** from, unsigned* bytes, const char* file,
                     int line) {
  Thread& thread = block().current();
  if (skips_barrier(file, line) || thread.async_copies.empty() ||
      thread.async_copies.front().group + keep >= thread.async_group) {
    note_async_groups(thread);
    return false;
  }
  const OnScheduler errand(block());
  const AsyncCopy copy = thread.async_copies.front();
  thread.async_copies.erase(thread.async_copies.begin());
  *to = copy.to;
  *from = copy.from;
  *bytes = copy.bytes;
  return true;
}

}  // namespace warptape::simt::engine

namespace warptape::simt {

unsigned take_most_async_groups() {
  return engine::most_async_groups.exchange(0);
}

}  // namespace warptape::simt
