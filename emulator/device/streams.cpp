// Streams, events and synchronisation of the emulated device, behind core/device/gpu.h.

#include "core/check.h"
#include "core/device/gpu/parts.h"
#include "emulator/device/machine.h"

namespace warptape::gpu {

using namespace emulated;

Stream::Stream() {
  std::lock_guard lock(machine().mutex);
  machine().check_healthy();
  handle_ = machine().add_stream();
}

Stream::~Stream() {
  std::lock_guard lock(machine().mutex);
  machine().remove_stream(handle_);
}

Event::Event(Timing timing) : handle_(new CUevent_st) {
  if (timing == Timing::On) {
    handle_->passed = std::make_shared<std::optional<std::chrono::steady_clock::time_point>>();
  }
}

Event::~Event() {
  delete handle_;
}

void Event::record(StreamHandle handle) {
  std::lock_guard lock(machine().mutex);
  machine().check_healthy();
  CUstream_st& stream = machine().stream(handle, "Event::record");
  handle_->recorded = true;
  if (stream.capture != nullptr) {
    stream.capture->record(stream, *handle_);
  } else {
    if (handle_->passed != nullptr) {
      handle_->passed->reset();
      machine().submit(
          stream,
          {.name = "Event::record", .uses = {}, .host = {}, .run = [passed = handle_->passed] {
             *passed = std::chrono::steady_clock::now();
           }});
    }
    handle_->point = stream.point;
    handle_->capture = nullptr;
  }
}

void Event::make_wait(StreamHandle handle) const {
  std::lock_guard lock(machine().mutex);
  machine().check_healthy();
  CUstream_st& stream = machine().stream(handle, "Event::make_wait");
  if (!handle_->recorded) {
    return;
  }
  if (stream.capture != nullptr || handle_->capture != nullptr) {
    Capture::wait(stream, *handle_);
  } else {
    stream.point.join(handle_->point);
  }
}

void Event::synchronize() const {
  std::lock_guard lock(machine().mutex);
  refuse_capture("Event::synchronize");
  check<DeviceError>(handle_->capture == nullptr,
                     "[Event::synchronize] the event was recorded in a capture: only streams can "
                     "wait for it");
  machine().wait(handle_->point);
}

double Event::milliseconds_since(const Event& start) const {
  start.synchronize();
  synchronize();
  const auto passed = [](const Event& event) {
    const auto& time = event.handle_->passed;
    check<DeviceError>(time != nullptr && time->has_value(),
                       "[Event::milliseconds_since] event: got one that is not timed or was not "
                       "recorded outside of a capture");
    return **time;
  };
  return std::chrono::duration<double, std::milli>(passed(*this) - passed(start)).count();
}

bool is_capturing() {
  return this_threads_capture() != nullptr;
}

namespace parts {

void wait_for(StreamHandle handle) {
  std::lock_guard lock(machine().mutex);
  refuse_capture("synchronize");
  CUstream_st& stream = machine().stream(handle, "synchronize");
  check<DeviceError>(stream.capture == nullptr,
                     "[synchronize] the stream is being captured by another thread");
  machine().wait(stream.point);
}

bool is_live(StreamHandle handle) {
  std::lock_guard lock(machine().mutex);
  return machine().has_stream(handle);
}

void wait_for_all() {
  std::lock_guard lock(machine().mutex);
  refuse_capture("synchronize");
  machine().wait_for_all();
}

}  // namespace parts
}  // namespace warptape::gpu
