#include "emulator/engine/block.h"

#include <fmt/format.h>

#include <bit>
#include <utility>

#include "emulator/engine/state.h"
#include "emulator/profile/recorder.h"

namespace warptape::simt {

thread_local constinit BlockRunner* running_block = nullptr;

BlockRunner* current_block() {
  return running_block;
}

namespace {

// Tags: two for the barrier, two for each mask of a warp collective. Successive uses alternate
// between the two, as a thread that runs ahead must not order others behind what it does there.
constexpr size_t tag_ring = 1 << 16;
constexpr unsigned tags_for(unsigned threads) {
  return 2 + 2 * threads;
}

}  // namespace

BlockRunner::BlockRunner() : tags_(thread_sanitizer ? tag_ring : 0) {}

BlockRunner::~BlockRunner() = default;

// splitmix64 (Steele, Lea & Flood 2014)
uint64_t BlockRunner::random() {
  uint64_t z = (random_ += 0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

// Ranks of warps, and of lanes within each: the ready thread of the lowest rank runs, so that warps
// may run far ahead of others. (Picking at random each time hides races: everybody then proceeds at
// the same pace.) Only called when no thread is ready.
void BlockRunner::draw_order() {
  for (unsigned w = 0; w < warps_in_block_; ++w) {
    warp_at_[w] = static_cast<uint8_t>(w);
    Warp& warp = warps_[w];
    for (unsigned lane = 0; lane < warp_size; ++lane) {
      warp.lane_at[lane] = static_cast<uint8_t>(lane);
    }
    for (unsigned i = warp_size; random_ != 0 && i > 1; --i) {
      std::swap(warp.lane_at[i - 1], warp.lane_at[random() % i]);
    }
    for (unsigned place = 0; place < warp_size; ++place) {
      warp.place_of[warp.lane_at[place]] = static_cast<uint8_t>(place);
    }
  }
  for (unsigned i = warps_in_block_; random_ != 0 && i > 1; --i) {
    std::swap(warp_at_[i - 1], warp_at_[random() % i]);
  }
  for (unsigned rank = 0; rank < warps_in_block_; ++rank) {
    rank_of_[warp_at_[rank]] = static_cast<uint8_t>(rank);
  }
}

void BlockRunner::set_up(const Grid& grid, uint3 block, uint64_t order) {
  grid_ = &grid;
  block_ = block;
  random_ = order;
  first_tag_ += tags_for(threads_in_block_);  // behind those of the block before
  threads_in_block_ = grid.block.x * grid.block.y * grid.block.z;
  warps_in_block_ = (threads_in_block_ + warp_size - 1) / warp_size;
  threads_.resize(threads_in_block_);
  warps_.assign(warps_in_block_, {});
  ready_warps_ = 0;
  done_ = 0;
  arrived_ = 0;
  barrier_total_ = 0;
  std::string().swap(error_.message);  // so that fail() gets no old buffer in exchange for its own
  if (first_tag_ + tags_for(threads_in_block_) > tags_.size()) {
    first_tag_ = 0;
  }
  stacks_.begin_block(threads_in_block_);
  draw_order();
  unsigned linear = 0;
  for (unsigned z = 0; z < grid.block.z; ++z) {
    for (unsigned y = 0; y < grid.block.y; ++y) {
      for (unsigned x = 0; x < grid.block.x; ++x, ++linear) {
        Thread& thread = threads_[linear];
        thread.index = {x, y, z};
        thread.linear = linear;
        thread.state = Thread::State::NotStarted;
        thread.fiber = nullptr;
        thread.async_group = 0;
        thread.async_copies.clear();
        if (thread_sanitizer) {
          const std::string name =
              fmt::format("({}, {}, {}) of block ({}, {}, {})", x, y, z, block.x, block.y, block.z);
          tsan_name_fiber(stacks_.take(linear)->context().tsan, name.c_str());
        }
        warp_of(thread).exists |= 1u << (linear % warp_size);
        make_ready(thread);
      }
    }
  }
}

char* BlockRunner::barrier_tag() {
  return thread_sanitizer ? &tags_[first_tag_ + barrier_phase_] : nullptr;
}

char* BlockRunner::collective_tag(const Thread& thread, const Pending& pending) {
  const Warp& warp = warp_of(thread);
  const auto group = static_cast<unsigned>(&pending - warp.pending.data());
  const unsigned which = thread.linear / warp_size * warp_size + group;
  return thread_sanitizer ? &tags_[first_tag_ + 2 + 2 * which + pending.phase] : nullptr;
}

void BlockRunner::make_ready(Thread& thread) {
  Warp& warp = warp_of(thread);
  warp.ready |= 1u << warp.place_of[thread.linear % warp_size];
  ready_warps_ |= 1u << rank_of_[thread.linear / warp_size];
}

Thread* BlockRunner::take_next() {
  if (ready_warps_ == 0) {
    return nullptr;
  }
  const unsigned w = warp_at_[static_cast<unsigned>(std::countr_zero(ready_warps_))];
  Warp& warp = warps_[w];
  const unsigned lane = warp.lane_at[static_cast<unsigned>(std::countr_zero(warp.ready))];
  warp.ready &= warp.ready - 1;
  if (warp.ready == 0) {
    ready_warps_ &= ready_warps_ - 1;
  }
  return &threads_[w * warp_size + lane];
}

void BlockRunner::resume_from(Context& from, Thread& thread) {
  if (thread.state == Thread::State::NotStarted) {
    thread.fiber = stacks_.take(thread.linear);
    thread.fiber->prepare(&thread_main, this);
  }
  thread.state = Thread::State::Ready;
  current_ = &thread;
  set_builtins(thread.index, block_, grid_->block, grid_->grid);
  switch_context(from, thread.fiber->context());
}

// Called by a thread that waits: runs others until somebody makes it ready and its turn comes.
void BlockRunner::suspend() {
  Thread& own = *current_;
  Thread* next = take_next();
  if (next == nullptr) {
    switch_context(own.fiber->context(), scheduler_);  // everybody waits: the scheduler reports
  } else if (next == &own) {
    own.state = Thread::State::Ready;
  } else {
    resume_from(own.fiber->context(), *next);
  }
}

void BlockRunner::thread_main(void* argument) {
  auto& runner = *static_cast<BlockRunner*>(argument);
  tsan_acquire(grid_start_tag());
  tsan_acquire(&runner.scheduler_);
  (*runner.body_)();
  tsan_release(grid_end_tag());
  runner.finish_thread();
}

void BlockRunner::finish_thread() {
  Thread& thread = *current_;
  thread.state = Thread::State::Done;
  ++done_;
  warp_of(thread).done |= 1u << (thread.linear % warp_size);
  if (!thread_sanitizer) {
    stacks_.give_back(thread.fiber);
  }
  switch_context(thread.fiber->context(), scheduler_);
}

void BlockRunner::fail(std::string message) {
  error_.message = std::move(message);
  switch_context(current_->fiber->context(), scheduler_);
  __builtin_unreachable();
}

// After an error: what the threads did until then is ordered before what follows the grid.
void BlockRunner::abandon_threads() {
  for (const Thread& thread : threads_) {
    if (thread_sanitizer && thread.fiber != nullptr) {
      tsan_switch_to(thread.fiber->context().tsan);
      tsan_release(grid_end_tag());
    }
  }
  tsan_switch_to(scheduler_.tsan);
  stacks_.take_all_back();
}

BlockError BlockRunner::run(const Grid& grid, uint3 block, const std::function<void()>& body,
                            uint64_t order) {
  set_up(grid, block, order);
  body_ = &body;
  adopt_os_thread(scheduler_);
  shared_memory_.allocate_dynamic(grid.dynamic_shared);
  running_block = this;
  tsan_release(&scheduler_);  // what this OS thread did so far, its thread-local storage for one
  while (error_.message.empty() && done_ < threads_in_block_) {
    Thread* next = take_next();
    if (next == nullptr) {
      error_.message = deadlock();
    } else {
      resume_from(scheduler_, *next);
    }
  }
  running_block = nullptr;
  profile::end_block(*this);
  if (!error_.message.empty()) {
    abandon_threads();
  }
  const std::string overrun = shared_memory_.release();
  if (error_.message.empty()) {
    error_.message = overrun;
  }
  return error_;
}

int BlockRunner::barrier(const WaitSite& site, int predicate, int (*combine)(int, int)) {
  Thread& thread = *current_;
  char* order = barrier_tag();
  tsan_release(order);
  if (arrived_ == 0) {
    barrier_site_ = site;
  } else if (!(site == barrier_site_)) {
    fail_at_barrier(site);
  }
  thread.site = site;
  barrier_total_ = combine(barrier_total_, predicate);
  ++arrived_;
  if (arrived_ == threads_in_block_) {
    release_barrier(barrier_total_);
    make_ready(thread);
  } else {
    thread.state = Thread::State::AtBarrier;
  }
  suspend();
  tsan_acquire(order);
  return barrier_result_;
}

// The last one to arrive: everybody may go on, in a new order.
void BlockRunner::release_barrier(int result) {
  barrier_result_ = result;
  barrier_total_ = 0;
  arrived_ = 0;
  barrier_phase_ ^= 1;
  for (Warp& warp : warps_) {
    ++warp.meetings;
  }
  draw_order();
  for (Thread& thread : threads_) {
    if (thread.state == Thread::State::AtBarrier) {
      make_ready(thread);
    }
  }
}

void* BlockRunner::shared(const void* key, size_t bytes) {
  if (void* found = shared_memory_.find(key)) {
    return found;
  }
  const OnScheduler errand(*this);
  if (shared_memory_.bytes() + bytes > max_shared_bytes) {
    fail(fmt::format("shared memory: the block asks for {} bytes, the limit is {}, thread {}",
                     shared_memory_.bytes() + bytes, max_shared_bytes, current_->linear));
  }
  return shared_memory_.allocate(key, bytes);
}

}  // namespace warptape::simt
