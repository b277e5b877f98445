#include "core/profile.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>

namespace warptape::profile {
namespace {

std::atomic<bool> enabled{false};
std::atomic<int64_t> origin_ns{0};
std::atomic<uint32_t> threads{0};
thread_local int depth = 0;

std::mutex events_mutex;
std::vector<Event>& events() {
  static auto* list = new std::vector<Event>;
  return *list;
}

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

uint32_t thread_number() {
  thread_local const uint32_t number = threads++;
  return number;
}

}  // namespace

Range::Range(const char* name, Phase phase)
    : name_(enabled.load(std::memory_order_relaxed) ? name : nullptr), phase_(phase) {
  if (name_ != nullptr) {
    ++depth;
    start_ns_ = now_ns();
  }
}

Range::~Range() {
  if (name_ == nullptr) {
    return;
  }
  const int64_t end = now_ns();
  --depth;
  try {
    std::string name = name_;
    if (phase_ == Phase::Backward) {
      name += " backward";
    }
    std::lock_guard lock(events_mutex);
    events().push_back(
        {std::move(name), start_ns_ - origin_ns, end - start_ns_, thread_number(), depth});
  } catch (...) {
    // Out of memory: an event is lost, the program goes on.
  }
}

void start() {
  std::lock_guard lock(events_mutex);
  events().clear();
  origin_ns = now_ns();
  enabled = true;
}

std::vector<Event> stop() {
  enabled = false;
  std::lock_guard lock(events_mutex);
  std::vector<Event> result = std::move(events());
  events().clear();
  std::sort(result.begin(), result.end(), [](const Event& a, const Event& b) {
    return a.start_ns != b.start_ns ? a.start_ns < b.start_ns : a.depth < b.depth;
  });
  return result;
}

std::vector<Total> summarize(const std::vector<Event>& events) {
  std::map<std::string, Total> totals;
  // Events come ordered by start, so the enclosing range is the latest one a level up on the
  // thread.
  std::map<std::pair<uint32_t, int>, const Event*> latest;
  for (const Event& event : events) {
    Total& total = totals[event.name];
    total.name = event.name;
    ++total.calls;
    total.total_ns += event.duration_ns;
    total.self_ns += event.duration_ns;
    latest[{event.thread, event.depth}] = &event;
    const auto parent = latest.find({event.thread, event.depth - 1});
    if (parent != latest.end()) {
      totals[parent->second->name].self_ns -= event.duration_ns;
    }
  }
  std::vector<Total> rows;
  for (const auto& [name, total] : totals) {
    rows.push_back(total);
  }
  std::sort(rows.begin(), rows.end(),
            [](const Total& a, const Total& b) { return a.self_ns > b.self_ns; });
  return rows;
}

}  // namespace warptape::profile
