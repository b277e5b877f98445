#pragma once
// What device "cuda" did, and when: who profiles has the ranges of the host and the launches told
// to a recorder, which joins them with the device's own times. Two halves, as of gpu.h. Nobody
// listens: a launch costs one atomic read.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace warptape::gpu {

struct Activity {
  // Range: the stretch between two points of a stream, where single kernels cannot be timed.
  enum class Kind : uint8_t { Kernel, Copy, Fill, Range };
  Kind kind = Kind::Kernel;
  std::string name;      // of a kernel: as its launch calls it, else its function
  uint64_t launch = 0;   // its id; 0: not one of ours
  uint64_t range = 0;    // the innermost range in which it was queued; 0: none
  uint64_t stream = 0;   // numbered from 1 on
  int64_t start_ns = 0;  // by std::chrono::steady_clock
  int64_t duration_ns = 0;
  int64_t bytes = 0;  // of copies and fills
};

// Its functions are called by the thread that queues.
class ActivityRecorder {
 public:
  virtual ~ActivityRecorder() = default;
  // Where times come from: "CUPTI 13.0", "the host: the device is emulated", "CUDA events, ...".
  virtual std::string source() const = 0;
  virtual bool times_kernels() const = 0;  // else ranges
  virtual void begin_range(uint64_t id, const char* name, bool is_backward) = 0;
  virtual void end_range(uint64_t id) = 0;
  virtual void begin_launch(uint64_t id) = 0;
  virtual void end_launch() = 0;
  // Waits for the device, and ends the recording.
  virtual std::vector<Activity> finish() = 0;
};

// One at a time; the device has to be idle. Throws DeviceError where there is no device.
std::unique_ptr<ActivityRecorder> record_activities();

struct LaunchSize {
  int64_t blocks = 0;
  int64_t threads = 0;  // of a block
  size_t shared_bytes = 0;
};

class LaunchListener {
 public:
  virtual void begin_launch(const char* name, const LaunchSize& size) = 0;
  virtual void end_launch() = 0;

 protected:
  ~LaunchListener() = default;
};
inline std::atomic<LaunchListener*> launch_listener{nullptr};

// Around the launch of a kernel.
class LaunchScope {
 public:
  template <class Dim>
  LaunchScope(const char* name, const Dim& grid, const Dim& block, size_t shared_bytes)
      : listener_(launch_listener.load(std::memory_order_relaxed)) {
    if (listener_ != nullptr) [[unlikely]] {
      listener_->begin_launch(name, {int64_t{grid.x} * grid.y * grid.z,
                                     int64_t{block.x} * block.y * block.z, shared_bytes});
    }
  }
  ~LaunchScope() {
    if (listener_ != nullptr) [[unlikely]] {
      listener_->end_launch();
    }
  }
  LaunchScope(const LaunchScope&) = delete;
  LaunchScope& operator=(const LaunchScope&) = delete;

 private:
  LaunchListener* listener_;
};

}  // namespace warptape::gpu
