#include "emulator/device/capture.h"

#include "core/check.h"

namespace warptape::gpu::emulated {

void Capture::join(CUstream_st& stream) {
  lanes_.push_back({&stream, {}, {}, nullptr});
  stream.capture = shared_from_this();
}

size_t Capture::lane_of(const CUstream_st& stream) const {
  const auto found = std::find_if(lanes_.begin(), lanes_.end(),
                                  [&](const Lane& lane) { return lane.stream == &stream; });
  return static_cast<size_t>(found - lanes_.begin());
}

void Capture::run(const CUstream_st& stream, Operation operation) {
  const size_t lane = lane_of(stream);
  lanes_[lane].clock.advance(lane);
  lanes_[lane].last = operation.name;
  commands_.push_back({Command::Kind::Run, lane, 0, std::move(operation)});
}

void Capture::record(const CUstream_st& stream, CUevent_st& event) {
  const size_t lane = lane_of(stream);
  event.capture = shared_from_this();
  event.record = records_.size();
  commands_.push_back({Command::Kind::Record, lane, records_.size(), {}});
  records_.push_back(lanes_[lane].clock);
}

void Capture::wait(CUstream_st& stream, const CUevent_st& event) {
  check<DeviceError>(event.capture != nullptr,
                     "[graph] event: a captured stream waits for one recorded outside the capture");
  Capture& capture = *event.capture;
  check<DeviceError>(!capture.ended_,
                     "[graph] event: it was recorded in a capture that has ended; record it again");
  check<DeviceError>(stream.capture == nullptr || stream.capture == event.capture,
                     "[graph] event: it was recorded in another capture");
  if (stream.capture == nullptr) {
    capture.join(stream);
  }
  const size_t lane = capture.lane_of(stream);
  capture.lanes_[lane].clock.join(capture.records_[event.record]);
  capture.commands_.push_back({Command::Kind::Wait, lane, event.record, {}});
}

std::vector<Block*> Capture::counters() const {
  std::vector<Block*> all;
  for (const Lane& lane : lanes_) {
    if (lane.counters != nullptr) {
      all.push_back(lane.counters);
    }
  }
  return all;
}

void Capture::end() {
  ended_ = true;
  for (Lane& lane : lanes_) {
    if (lane.stream != nullptr) {
      lane.stream->capture = nullptr;
      lane.stream = nullptr;
    }
  }
}

void Capture::forget(CUstream_st& stream) {
  lanes_[lane_of(stream)].stream = nullptr;
  stream.capture = nullptr;
}

void Capture::check_complete() const {
  check<DeviceError>(fault_.empty(), "{}", fault_);
  for (size_t i = 1; i < lanes_.size(); ++i) {
    check<DeviceError>(lanes_[i].clock.at(i) <= lanes_[0].clock.at(i),
                       "[graph] a stream whose last work is [{}] was not joined: wanted an event "
                       "recorded on it, for which the captured stream waits",
                       lanes_[i].last);
  }
  for (const Deallocation& freed : deallocations_) {
    for (const Command& command : commands_) {
      for (const DeviceUse& use : command.operation.uses) {
        check<DeviceError>(use.allocation != freed.allocation,
                           "[graph] memory that [{}] uses was freed during the capture",
                           command.operation.name);
      }
    }
  }
}

}  // namespace warptape::gpu::emulated
