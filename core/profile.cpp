#include "core/profile.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <utility>

namespace warptape::profile {
namespace {

std::atomic<int64_t> origin_ns{0};
std::atomic<uint32_t> threads{0};
std::atomic<uint64_t> last_id{0};
std::atomic<gpu::ActivityRecorder*> device_recorder{nullptr};

thread_local constinit Range* innermost = nullptr;
thread_local constinit int depth = 0;

std::mutex mutex;
Recording& recording() {
  static auto* all = new Recording;
  return *all;
}

int64_t clock_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

uint32_t thread_number() {
  thread_local const uint32_t number = threads++;
  return number;
}

}  // namespace

struct Recorder {
  static uint64_t id_of(const Range* range) { return range == nullptr ? 0 : range->id_; }

  static void add(Range& range, const Work& work) {
    range.work_.add(work);
    range.has_work_ = true;
    range.pending_.add(work);
    range.has_pending_ = true;
  }

  // What was noted for the next launch.
  static void take_pending(Launch& launch, Range* range) {
    if (range != nullptr && range->has_pending_) {
      launch.has_work = true;
      launch.work = std::exchange(range->pending_, {});
      range->has_pending_ = false;
    }
  }
};

namespace {

class Launches final : public gpu::LaunchListener {
 public:
  void begin_launch(const char* name, const gpu::LaunchSize& size) override {
    Launch launch{name,  ++last_id, Recorder::id_of(innermost), thread_number(), now_ns(), size,
                  false, {}};
    Recorder::take_pending(launch, innermost);
    if (gpu::ActivityRecorder* const device = device_recorder.load()) {
      device->begin_launch(launch.id);
    }
    std::lock_guard lock(mutex);
    recording().launches.push_back(std::move(launch));
  }
  void end_launch() override {
    if (gpu::ActivityRecorder* const device = device_recorder.load()) {
      device->end_launch();
    }
  }
};
Launches launch_recorder;

}  // namespace

int64_t now_ns() {
  return clock_ns() - origin_ns.load(std::memory_order_relaxed);
}

void Range::begin() {
  layer_ = current_layer;
  id_ = ++last_id;
  if (gpu::ActivityRecorder* const device = device_recorder.load(std::memory_order_relaxed)) {
    device->begin_range(id_, name_, phase_ == Phase::Backward);  // may throw
  }
  outer_ = std::exchange(innermost, this);
  ++depth;
  start_ns_ = now_ns();
}

void Range::end() noexcept {
  const int64_t duration = now_ns() - start_ns_;
  --depth;
  innermost = outer_;
  try {
    if (gpu::ActivityRecorder* const device = device_recorder.load(std::memory_order_relaxed)) {
      device->end_range(id_);
    }
    std::string name = name_;
    if (phase_ == Phase::Backward) {
      name += " backward";
    }
    if (!is_on()) {
      return;  // begun before stop()
    }
    std::lock_guard lock(mutex);
    recording().events.push_back({std::move(name), start_ns_, duration, thread_number(), depth,
                                  phase_, layer_, id_, Recorder::id_of(outer_), has_work_, work_});
  } catch (...) {
    // Out of memory: an event is lost, the program goes on.
  }
}

void add_note(const Work& work) {
  if (innermost != nullptr) {
    Recorder::add(*innermost, work);
  }
}

void note_memory(const void* block, int64_t bytes, Device device) noexcept {
  if (bytes == 0) {
    return;
  }
  try {
    const MemoryEvent event{now_ns(),     block, bytes, device, Recorder::id_of(innermost),
                            current_layer};
    std::lock_guard lock(mutex);
    recording().memory.push_back(event);
  } catch (...) {
    // As above.
  }
}

void start(gpu::ActivityRecorder* device) {
  std::lock_guard lock(mutex);
  recording() = {};
  origin_ns = clock_ns();
  device_recorder = device;
  gpu::launch_listener = &launch_recorder;
  is_recording = true;
}

Recording stop_recording() {
  is_recording = false;
  gpu::launch_listener = nullptr;
  device_recorder = nullptr;
  std::lock_guard lock(mutex);
  Recording result = std::exchange(recording(), {});
  std::sort(result.events.begin(), result.events.end(), [](const Event& a, const Event& b) {
    return a.start_ns != b.start_ns ? a.start_ns < b.start_ns : a.depth < b.depth;
  });
  return result;
}

std::vector<Event> stop() {
  return stop_recording().events;
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
