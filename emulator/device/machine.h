#pragma once
// The state of the emulated device, and what every call goes through. Internal to it. A call locks
// `mutex` for its whole length: kernels run while it is held, and never call back.

#include <mutex>
#include <set>

#include "emulator/device/activity.h"
#include "emulator/device/capture.h"
#include "emulator/device/dry_run.h"
#include "emulator/device/pinned.h"
#include "emulator/device/scheduler.h"

namespace warptape::gpu::emulated {

// Its owner is inside the emulated device (is_inside()).
class DeviceMutex {
 public:
  void lock();
  void unlock();

 private:
  std::mutex mutex_;
};

class Machine {
 public:
  Machine();

  DeviceMutex mutex;
  Arena arena;
  PinnedMemory pinned;
  Scheduler scheduler;
  std::optional<std::vector<DryLaunch>> dry_launches;  // noted while a DryRun lives

  std::shared_ptr<ActivityLog> activities;  // while a recorder listens (core/device/activity.h)

  // Throws what a synchronisation has found before: faults stick.
  void check_healthy() const;
  // The stream of a handle; throws DeviceError on nullptr and on a destroyed one.
  CUstream_st& stream(StreamHandle handle, const char* who) const;
  CUstream_st* add_stream();
  void remove_stream(StreamHandle handle) noexcept;
  bool has_stream(StreamHandle handle) const { return streams_.count(handle) != 0; }
  size_t new_lane() { return lanes_++; }

  // A use of [pointer, pointer + bytes): throws DeviceError unless one allocation holds it all.
  // `who` and `what` ("argument 2") begin the message.
  DeviceUse use_of(const void* pointer, size_t bytes, AccessMode mode, const std::string& who,
                   const std::string& what);

  // The allocations in which these uses lie, each once.
  std::vector<Opening> openings_of(const std::vector<DeviceUse>& uses) const;

  // Memory that is usable by what is queued on the stream from here on. nullptr: there is none
  // left.
  void* allocate(size_t bytes, CUstream_st& stream);
  void deallocate(void* pointer, StreamHandle stream) noexcept;
  // The same of a block that stays with the caller; false where it must be deallocated instead.
  bool retire(void* pointer, StreamHandle stream) noexcept;
  void reuse(void* pointer, size_t bytes, CUstream_st& stream);
  // Memory of zeros that all streams may use at once, with atomics.
  void* allocate_unordered(size_t bytes);
  void deallocate_unordered(void* pointer) noexcept;
  // Arrival counters, zeros at once: a DryRun runs no fills. And their end, when what used them up
  // to a point in `stream` has run.
  Block* make_counters();
  void free_counters(CUstream_st& stream, Block& block) noexcept;

  // Queues the operation, or records it where its stream is captured.
  void submit(CUstream_st& stream, Operation operation);
  // The host waits; throws the fault of queued work, if any.
  void wait(const Point& point);
  void wait_for_all();
  void reset();

 private:
  Clock clock_of(const CUstream_st& stream) const;
  void submit_memory(CUstream_st& stream, const Block& block, const char* name,
                     std::function<void()> run);
  void begin_life(CUstream_st& stream, Block& block);
  void end_life(StreamHandle handle, const Block& block) noexcept;
  void check_ordered(const Operation& operation, const Clock& clock);
  void note(const Operation& operation, size_t lane, uint64_t step);
  void queue(CUstream_st& stream, const Operation& operation, bool manages_memory);
  void raise_fault();
  void clear_counters();  // of kernels that a fault ended

  std::set<StreamHandle> streams_;
  std::set<Block*> counters_;
  size_t lanes_ = 0;
  // What the host has waited for; all its threads share it, as they order themselves in ways that
  // the device does not see. And all that was ever queued.
  Clock host_;
  Clock everything_;
  bool raised_ = false;  // the scheduler's fault has been raised
};

// Never destroyed: storages in static objects give their memory back after main.
Machine& machine();

// The calling thread's capture, or nullptr.
std::shared_ptr<Capture>& this_threads_capture();

// Throws DeviceError while the calling thread captures, and makes the capture invalid.
void refuse_capture(const char* who);

}  // namespace warptape::gpu::emulated
