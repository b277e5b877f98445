// What a GPU did, and when: by CUPTI, or where that is not there by events around ranges. Ranges
// are NVTX's too, for Nsight Systems.

#include "core/device/activity.h"

#include <utility>

#include "core/device/cuda/cupti.h"
#include "core/device/gpu.h"

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define WARPTAPE_HAS_NVTX 1
#else
#define WARPTAPE_HAS_NVTX 0
#endif

#include <chrono>

namespace warptape::gpu {
namespace {

void push_nvtx([[maybe_unused]] const char* name, [[maybe_unused]] bool is_backward) {
#if WARPTAPE_HAS_NVTX
  if (is_backward) {
    nvtxRangePushA((std::string(name) + " backward").c_str());
  } else {
    nvtxRangePushA(name);
  }
#endif
}

void pop_nvtx() {
#if WARPTAPE_HAS_NVTX
  nvtxRangePop();
#endif
}

class CuptiRecorder final : public ActivityRecorder {
 public:
  explicit CuptiRecorder(std::unique_ptr<Cupti> cupti) : cupti_(std::move(cupti)) {}
  std::string source() const override { return cupti_->version(); }
  bool times_kernels() const override { return true; }
  void begin_range(uint64_t id, const char* name, bool is_backward) override {
    push_nvtx(name, is_backward);
    cupti_->push(Cupti::Of::Range, id);
  }
  void end_range(uint64_t) override {
    cupti_->pop(Cupti::Of::Range);
    pop_nvtx();
  }
  void begin_launch(uint64_t id) override { cupti_->push(Cupti::Of::Launch, id); }
  void end_launch() override { cupti_->pop(Cupti::Of::Launch); }
  std::vector<Activity> finish() override {
    synchronize();
    return cupti_->finish();
  }

 private:
  const std::unique_ptr<Cupti> cupti_;
};

// Two events for each range, on the stream that is current where it begins.
class EventRecorder final : public ActivityRecorder {
 public:
  explicit EventRecorder(std::string reason)
      : reason_(std::move(reason)), origin_(Event::Timing::On) {
    synchronize();
    origin_.record(current_stream());
    origin_.synchronize();
    origin_ns_ = std::chrono::duration_cast<std::chrono::nanoseconds>(
                     std::chrono::steady_clock::now().time_since_epoch())
                     .count();
  }
  std::string source() const override {
    return "CUDA events around ops, without times of single kernels, as CUPTI is not there (" +
           reason_ + ")";
  }
  bool times_kernels() const override { return false; }
  void begin_range(uint64_t id, const char* name, bool is_backward) override {
    push_nvtx(name, is_backward);
    if (!is_capturing()) {
      open_.push_back(ranges_.size());
      ranges_.push_back({id, name, std::make_unique<Event>(Event::Timing::On),
                         std::make_unique<Event>(Event::Timing::On), current_stream()});
      ranges_.back().begin->record(ranges_.back().stream);
    }
  }
  void end_range(uint64_t id) override {
    pop_nvtx();
    if (!open_.empty() && ranges_[open_.back()].id == id) {
      const Range& range = ranges_[open_.back()];
      range.end->record(range.stream);
      open_.pop_back();
    }
  }
  void begin_launch(uint64_t) override {}
  void end_launch() override {}
  std::vector<Activity> finish() override {
    synchronize();
    std::vector<Activity> activities;
    for (const Range& range : ranges_) {
      Activity activity;
      activity.kind = Activity::Kind::Range;
      activity.name = range.name;
      activity.range = range.id;
      activity.stream = 1;
      activity.start_ns =
          origin_ns_ + static_cast<int64_t>(1e6 * range.begin->milliseconds_since(origin_));
      activity.duration_ns =
          static_cast<int64_t>(1e6 * range.end->milliseconds_since(*range.begin));
      activities.push_back(std::move(activity));
    }
    ranges_.clear();
    return activities;
  }

 private:
  struct Range {
    uint64_t id;
    std::string name;
    std::unique_ptr<Event> begin;
    std::unique_ptr<Event> end;
    StreamHandle stream;
  };
  const std::string reason_;
  Event origin_;
  int64_t origin_ns_ = 0;
  std::vector<Range> ranges_;
  std::vector<size_t> open_;
};

}  // namespace

std::unique_ptr<ActivityRecorder> record_activities() {
  std::string reason;
  if (std::unique_ptr<Cupti> cupti = Cupti::start(&reason)) {
    return std::make_unique<CuptiRecorder>(std::move(cupti));
  }
  return std::make_unique<EventRecorder>(reason);
}

}  // namespace warptape::gpu
