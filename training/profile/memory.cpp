#include <algorithm>

#include "training/profile/events.h"

namespace warptape::profiling {
namespace {

// Blocks that are live, by what allocated them; replays the events of one device in their order.
class Replay {
 public:
  explicit Replay(Device device) : device_(device) {}

  void take(const profile::MemoryEvent& event) {
    if (!(event.device == device_)) {
      return;
    }
    if (event.bytes >= 0) {
      live_[event.block] = &event;
      bytes_ += event.bytes;
    } else if (const auto found = live_.find(event.block); found != live_.end()) {
      bytes_ -= found->second->bytes;  // one that was there before the recording is not counted
      live_.erase(found);
    }
  }
  int64_t bytes() const { return bytes_; }
  const std::map<const void*, const profile::MemoryEvent*>& live() const { return live_; }

 private:
  const Device device_;
  std::map<const void*, const profile::MemoryEvent*> live_;
  int64_t bytes_ = 0;
};

std::vector<Holder> holders_of(const Replay& replay, const Captured& captured,
                               const Events& events) {
  std::map<std::pair<std::string, std::string>, Holder> holders;
  for (const auto& [block, event] : replay.live()) {
    std::string layer = events.layer_at(event->layer);
    const profile::Event* const range = events.find(event->range);
    std::string what = range == nullptr ? "outside of all ops" : range->name;
    if (const auto named = captured.blocks.find(block); named != captured.blocks.end()) {
      layer = named->second.layer;
      what = named->second.what;
    }
    Holder& holder = holders[{layer, what}];
    holder.layer = layer;
    holder.what = what;
    ++holder.blocks;
    holder.bytes += event->bytes;
  }
  std::vector<Holder> result;
  for (const auto& [key, holder] : holders) {
    result.push_back(holder);
  }
  std::stable_sort(result.begin(), result.end(),
                   [](const Holder& a, const Holder& b) { return a.bytes > b.bytes; });
  return result;
}

}  // namespace

Memory look_at_memory(const Captured& captured, const Events& events) {
  Memory memory;
  if (events.steps().empty()) {
    return memory;
  }
  const profile::Event& step = *events.steps().back();
  const int64_t end = step.start_ns + step.duration_ns;
  const auto& all = captured.recording.memory;
  const auto since_step = [&](int64_t ns) { return static_cast<double>(ns - step.start_ns) / 1e6; };
  // Twice: the second time up to the peak, whose blocks are looked at.
  Replay replay(captured.device);
  size_t peak = 0;
  for (size_t i = 0; i < all.size() && all[i].time_ns <= end; ++i) {
    replay.take(all[i]);
    if (all[i].time_ns < step.start_ns) {
      continue;
    }
    memory.timeline.emplace_back(since_step(all[i].time_ns), replay.bytes());
    if (replay.bytes() > memory.peak_bytes) {
      memory.peak_bytes = replay.bytes();
      peak = i;
    }
  }
  if (memory.timeline.empty()) {
    return memory;
  }
  Replay to_peak(captured.device);
  for (size_t i = 0; i <= peak; ++i) {
    to_peak.take(all[i]);
  }
  memory.peak_ms = since_step(all[peak].time_ns);
  memory.peak_layer = events.layer_at(all[peak].layer);
  const profile::Event* const range = events.find(all[peak].range);
  memory.peak_op = range == nullptr ? "" : range->name;
  memory.holders = holders_of(to_peak, captured, events);
  return memory;
}

}  // namespace warptape::profiling
