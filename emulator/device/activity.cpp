#include "emulator/device/activity.h"

#include <chrono>
#include <utility>

#include "core/check.h"
#include "emulator/device/machine.h"

namespace warptape::gpu {
namespace emulated {
namespace {

// What the calling thread is in.
thread_local std::vector<uint64_t> ranges;
thread_local uint64_t current_launch = 0;

int64_t steady_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

class Recorder final : public ActivityRecorder {
 public:
  Recorder() {
    std::lock_guard lock(machine().mutex);
    machine().wait_for_all();
    check<DeviceError>(machine().activities == nullptr,
                       "[record_activities] got a second recorder at once, wanted one");
    machine().activities = log_;
  }
  ~Recorder() override {
    try {
      finish();
    } catch (...) {  // a fault of the device, which sticks
    }
  }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  std::string source() const override {
    return "EMULATED on the host: they say nothing about any GPU";
  }
  bool times_kernels() const override { return true; }
  void begin_range(uint64_t id, const char*, bool) override { ranges.push_back(id); }
  void end_range(uint64_t) override {
    if (!ranges.empty()) {
      ranges.pop_back();
    }
  }
  void begin_launch(uint64_t id) override { current_launch = id; }
  void end_launch() override { current_launch = 0; }
  std::vector<Activity> finish() override {
    std::lock_guard lock(machine().mutex);
    machine().activities = nullptr;
    machine().scheduler.finish_all();
    return std::exchange(log_->activities, {});
  }

 private:
  const std::shared_ptr<ActivityLog> log_ = std::make_shared<ActivityLog>();
};

}  // namespace

std::function<void()> ActivityLog::timed(const Operation& operation, size_t lane,
                                         std::function<void()> run) {
  const bool fills = operation.name == "fill_bytes";
  if (current_launch == 0 && operation.bytes == 0) {
    return run;  // an event, or a kernel of a graph
  }
  Activity activity;
  activity.kind = current_launch != 0 ? Activity::Kind::Kernel
                  : fills             ? Activity::Kind::Fill
                                      : Activity::Kind::Copy;
  activity.name = operation.name;
  activity.launch = current_launch;
  activity.range = ranges.empty() ? 0 : ranges.back();
  activity.stream = lane + 1;
  activity.bytes = operation.bytes;
  return [log = machine().activities, activity, run = std::move(run)]() mutable {
    activity.start_ns = steady_ns();
    run();
    activity.duration_ns = steady_ns() - activity.start_ns;
    log->activities.push_back(activity);
  };
}

}  // namespace emulated

std::unique_ptr<ActivityRecorder> record_activities() {
  return std::make_unique<emulated::Recorder>();
}

}  // namespace warptape::gpu
