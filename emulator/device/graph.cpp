// Graphs of the emulated device: a replay queues what the capture recorded, on lanes of its own.

#include "core/check.h"
#include "emulator/device/machine.h"

using warptape::gpu::emulated::Block;
using warptape::gpu::emulated::Command;
using warptape::gpu::emulated::Point;

struct CUgraphExec_st {
  std::vector<Command> commands;
  std::vector<CUstream_st> lanes;  // lane 0 is the stream that a replay is launched on
  size_t records = 0;
  Point end;  // of the latest replay: replays of one graph run one after the other
  std::vector<Block*> counters;
};

namespace warptape::gpu {

using namespace emulated;

namespace {

std::shared_ptr<Capture> begin_capture(StreamHandle handle) {
  std::lock_guard lock(machine().mutex);
  machine().check_healthy();
  refuse_capture("Graph");
  CUstream_st& stream = machine().stream(handle, "Graph");
  check<DeviceError>(stream.capture == nullptr, "[Graph] another thread captures the stream");
  auto capture = std::make_shared<Capture>();
  capture->join(stream);
  this_threads_capture() = capture;
  return capture;
}

void end_capture(Capture& capture) {
  this_threads_capture() = nullptr;
  std::lock_guard lock(machine().mutex);
  capture.end();
  for (const Capture::Deallocation& deallocation : capture.deallocations()) {
    machine().deallocate(deallocation.pointer, deallocation.stream);
  }
}

// Where `point` is the end of the last replay.
void free_counters(const std::vector<Block*>& counters, const Point& point) {
  if (counters.empty()) {
    return;
  }
  CUstream_st stream;
  stream.lane = machine().new_lane();
  stream.point = point;
  for (Block* block : counters) {
    machine().free_counters(stream, *block);
  }
}

}  // namespace

Graph::Graph(const Stream& stream, const std::function<void()>& work) {
  const std::shared_ptr<Capture> capture = begin_capture(stream.handle());
  try {
    const StreamScope scope(stream);
    work();
    end_capture(*capture);
    capture->check_complete();
  } catch (...) {
    if (is_capturing()) {
      end_capture(*capture);
    }
    std::lock_guard lock(machine().mutex);
    free_counters(capture->counters(), Point{});
    throw;
  }
  std::lock_guard lock(machine().mutex);
  exec_ =
      new CUgraphExec_st{std::move(capture->commands()), std::vector<CUstream_st>(capture->lanes()),
                         capture->records(), Point{}, capture->counters()};
  for (CUstream_st& lane : exec_->lanes) {
    lane.lane = machine().new_lane();
  }
}

Graph::~Graph() {
  std::lock_guard lock(machine().mutex);
  free_counters(exec_->counters, exec_->end);
  delete exec_;
}

void Graph::launch(StreamHandle handle) const {
  std::lock_guard lock(machine().mutex);
  machine().check_healthy();
  refuse_capture("Graph::launch");
  CUstream_st& stream = machine().stream(handle, "Graph::launch");
  check<DeviceError>(stream.capture == nullptr,
                     "[Graph::launch] another thread captures the "
                     "stream");
  for (const Command& command : exec_->commands) {
    for (const DeviceUse& use : command.operation.uses) {
      const Block* block = machine().arena.find(use.pointer);
      check<DeviceError>(block != nullptr && block->id == use.allocation,
                         "[Graph::launch] device memory that [{}] uses ({}) has been freed since "
                         "the capture",
                         command.operation.name, use.pointer);
    }
  }
  stream.point.join(exec_->end);
  std::vector<Point> records(exec_->records);
  for (const Command& command : exec_->commands) {
    CUstream_st& lane = command.lane == 0 ? stream : exec_->lanes[command.lane];
    switch (command.kind) {
      case Command::Kind::Run:
        machine().submit(lane, command.operation);
        break;
      case Command::Kind::Record:
        records[command.record] = lane.point;
        break;
      case Command::Kind::Wait:
        lane.point.join(records[command.record]);
        break;
    }
  }
  exec_->end = stream.point;
}

}  // namespace warptape::gpu
