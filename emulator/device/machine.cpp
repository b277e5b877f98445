#include "emulator/device/machine.h"

#include <algorithm>

#include "core/check.h"

namespace warptape::gpu::emulated {
namespace {

void check_order_of(const Use& earlier, AccessMode earlier_mode, const Operation& operation,
                    const DeviceUse& use, const Block& block, const Clock& clock) {
  check<DeviceError>(earlier.happened_before(clock),
                     "[{}] {} device memory ({} bytes at {}) that [{}] on another stream {}, and "
                     "no event orders them",
                     operation.name, verb(use.mode), block.bytes,
                     static_cast<const void*>(block.data()), earlier.work, verb(earlier_mode));
}

thread_local int depth_inside = 0;

}  // namespace

bool is_inside() {
  return depth_inside > 0;
}
Inside::Inside() {
  ++depth_inside;
}
Inside::~Inside() {
  --depth_inside;
}

void DeviceMutex::lock() {
  mutex_.lock();
  ++depth_inside;
}

void DeviceMutex::unlock() {
  --depth_inside;
  mutex_.unlock();
}

Machine& machine() {
  static auto* instance = new Machine;
  return *instance;
}

std::shared_ptr<Capture>& this_threads_capture() {
  static thread_local std::shared_ptr<Capture> capture;
  return capture;
}

void refuse_capture(const char* who) {
  if (const auto& capture = this_threads_capture()) {
    const std::string message = fmt::format("[{}] is not possible during graph capture", who);
    capture->invalidate(message);
    throw DeviceError(message);
  }
}

Machine::Machine() {
  explain_host_accesses(arena);
}

void Machine::check_healthy() const {
  check<DeviceError>(!raised_, "{}", scheduler.fault());
}

void Machine::raise_fault() {
  raised_ = !scheduler.fault().empty();
  check_healthy();
}

CUstream_st& Machine::stream(StreamHandle handle, const char* who) const {
  check<DeviceError>(handle != nullptr,
                     "[{}] stream: got nullptr, wanted a stream: there is no default stream", who);
  check<DeviceError>(has_stream(handle), "[{}] stream: got one that has been destroyed", who);
  return *handle;
}

CUstream_st* Machine::add_stream() {
  auto* stream = new CUstream_st;
  stream->lane = new_lane();
  streams_.insert(stream);
  return stream;
}

void Machine::remove_stream(StreamHandle handle) noexcept {
  if (handle->capture != nullptr) {
    handle->capture->forget(*handle);
  }
  if (handle->counters != nullptr) {
    free_counters(*handle, *handle->counters);
  }
  scheduler.finish(handle->point.works);
  host_.join(handle->point.clock);
  streams_.erase(handle);
  delete handle;
}

DeviceUse Machine::use_of(const void* pointer, size_t bytes, AccessMode mode,
                          const std::string& who, const std::string& what) {
  check<DeviceError>(arena.contains(pointer),
                     "[{}] {}: got a host pointer ({}), wanted device memory", who, what, pointer);
  const Block* block = arena.find(pointer);
  check<DeviceError>(block != nullptr, "[{}] {}: got {}, where nothing was ever allocated", who,
                     what, pointer);
  check<DeviceError>(block->id != 0, "[{}] {}: got {}, whose memory has been freed", who, what,
                     pointer);
  const char* begin = block->data();
  const auto* address = static_cast<const char*>(pointer);
  check<DeviceError>(
      begin <= address && address + bytes <= begin + block->bytes,
      "[{}] {}: got {} bytes at {}, wanted a part of the allocation ({} bytes at {})", who, what,
      bytes, pointer, block->bytes, static_cast<const void*>(begin));
  return {pointer, block->id, mode};
}

std::vector<Opening> Machine::openings_of(const std::vector<DeviceUse>& uses) const {
  std::vector<Opening> openings;
  for (const DeviceUse& use : uses) {
    const Arena::Place place = Arena::place_of(*arena.find(use.pointer));
    const auto same = std::find_if(openings.begin(), openings.end(), [&](const Opening& opening) {
      return opening.place.begin == place.begin;
    });
    if (same == openings.end()) {
      openings.push_back({place, use.mode});
    } else if (use.mode == AccessMode::Write) {
      same->mode = AccessMode::Write;
    }
  }
  return openings;
}

void Machine::check_ordered(const Operation& operation, const Clock& clock) {
  if (operation.host) {
    pinned.check_ordered(operation, clock);
  }
  for (const DeviceUse& use : operation.uses) {
    const Block& block = *arena.find(use.pointer);
    if (!block.ordered) {
      continue;
    }
    check_order_of(block.write, AccessMode::Write, operation, use, block, clock);
    if (use.mode == AccessMode::Write) {
      for (const Use& read : block.reads) {
        check_order_of(read, AccessMode::Read, operation, use, block, clock);
      }
    }
  }
}

void Machine::note(const Operation& operation, size_t lane, uint64_t step) {
  for (const DeviceUse& use : operation.uses) {
    Block& block = *arena.find(use.pointer);
    if (use.mode == AccessMode::Write) {
      block.write = {operation.name, lane, step};
      block.reads.clear();
      continue;
    }
    const auto before = std::find_if(block.reads.begin(), block.reads.end(),
                                     [&](const Use& read) { return read.lane == lane; });
    if (before == block.reads.end()) {
      block.reads.push_back({operation.name, lane, step});
    } else {
      *before = {operation.name, lane, step};
    }
  }
}

Clock Machine::clock_of(const CUstream_st& stream) const {
  Clock clock = stream.point.clock;
  clock.join(host_);
  return clock;
}

void Machine::queue(CUstream_st& stream, const Operation& operation, bool manages_memory) {
  Clock clock = clock_of(stream);
  check_ordered(operation, clock);
  const uint64_t step = clock.advance(stream.lane);
  note(operation, stream.lane, step);
  auto work = std::make_shared<Work>();
  // Of a DryRun's memory there is nothing to copy.
  const bool copies_dry =
      std::any_of(operation.uses.begin(), operation.uses.end(), [&](const DeviceUse& use) {
        const Block* block = arena.find(use.pointer);
        return operation.host && block != nullptr && block->dry;
      });
  if (copies_dry) {
    work->run = [] {};
  } else if (operation.host) {
    work->run = pinned.queue(operation, {operation.name, stream.lane, step});
  } else if (!dry_launches || manages_memory) {
    work->run = operation.run;
  } else {
    work->run = [] {};
  }
  if (activities != nullptr && !manages_memory) {
    work->run = activities->timed(operation, stream.lane, std::move(work->run));
  }
  work->openings = openings_of(operation.uses);
  work->after = std::move(stream.point.works);
  work->manages_memory = manages_memory;
  everything_.join(clock);
  stream.point = {{work}, std::move(clock)};
  scheduler.add(std::move(work));
}

void Machine::submit(CUstream_st& stream, Operation operation) {
  if (stream.capture != nullptr) {
    stream.capture->run(stream, std::move(operation));
    return;
  }
  pinned.forget(host_);
  queue(stream, operation, false);
}

void Machine::wait(const Point& point) {
  check_healthy();
  scheduler.finish(point.works);
  host_.join(point.clock);
  raise_fault();
}

void Machine::wait_for_all() {
  check_healthy();
  scheduler.finish_all();
  host_.join(everything_);
  raise_fault();
}

void Machine::reset() {
  scheduler.drop_queue();
  scheduler.clear_fault();
  clear_counters();
  raised_ = false;
  host_.join(everything_);
}

}  // namespace warptape::gpu::emulated
