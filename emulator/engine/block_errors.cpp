// What a block says when its threads use barriers and collectives wrongly.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "emulator/engine/state.h"

namespace warptape::simt {

void BlockRunner::fail_at_barrier(const WaitSite& site) {
  const OnScheduler errand(*this);
  std::string message =
      fmt::format("divergent barrier: threads {} wait at {} ({}:{}), thread {} came to {} ({}:{})",
                  threads_at(barrier_site_), barrier_site_.what, barrier_site_.file,
                  barrier_site_.line, current_->linear, site.what, site.file, site.line);
  fail(std::move(message));
}

void BlockRunner::fail_for_mask(const WaitSite& site, const char* fault) {
  const OnScheduler errand(*this);
  fail(fmt::format("{} ({}:{}): mask {:#010x} of thread {} (lane {}) {}", site.what, site.file,
                   site.line, site.mask, current_->linear, current_->linear % warp_size, fault));
}

void BlockRunner::fail_at_collective(const WaitSite& site, const Pending& pending) {
  const OnScheduler errand(*this);
  fail(fmt::format(
      "{} ({}:{}): thread {} came with mask {:#010x}, while lanes {:#010x} of its warp "
      "wait in {} with that mask",
      site.what, site.file, site.line, current_->linear, site.mask, pending.arrived, pending.what));
}

// "0-31, 40": the threads that wait at a site.
std::string BlockRunner::threads_at(const WaitSite& site) const {
  std::string text;
  for (unsigned first = 0; first < threads_in_block_; ++first) {
    const auto waits = [&](unsigned i) {
      const Thread& thread = threads_[i];
      return (thread.state == Thread::State::AtBarrier ||
              thread.state == Thread::State::InCollective) &&
             thread.site == site;
    };
    if (!waits(first)) {
      continue;
    }
    unsigned last = first;
    while (last + 1 < threads_in_block_ && waits(last + 1)) {
      ++last;
    }
    text += text.empty() ? "" : ", ";
    text += first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
    first = last;
  }
  return text;
}

std::string BlockRunner::deadlock() const {
  std::vector<WaitSite> sites;
  for (const Thread& thread : threads_) {
    const bool waits =
        thread.state == Thread::State::AtBarrier || thread.state == Thread::State::InCollective;
    if (waits && std::find(sites.begin(), sites.end(), thread.site) == sites.end()) {
      sites.push_back(thread.site);
    }
  }
  const bool barrier_only = sites.size() == 1 && arrived_ + done_ == threads_in_block_;
  std::string text = barrier_only ? "divergent barrier:" : "deadlock:";
  for (const WaitSite& site : sites) {
    const std::string mask = site.mask == 0 ? "" : fmt::format(" with mask {:#010x}", site.mask);
    text += fmt::format(" threads {} wait at {} ({}:{}){},", threads_at(site), site.what, site.file,
                        site.line, mask);
  }
  return text + fmt::format(" {} of {} threads have exited", done_, threads_in_block_);
}

}  // namespace warptape::simt
