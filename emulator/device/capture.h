#pragma once
// What a graph records: operations on lanes, one per stream, and the events between them.

#include "emulator/device/work.h"

namespace warptape::gpu::emulated {

struct Command {
  enum class Kind { Run, Record, Wait };
  Kind kind;
  size_t lane;
  size_t record;  // of Record and Wait
  Operation operation;
};

// One capture, from its first stream (lane 0) on. Kept alive by streams and events that were part
// of it.
class Capture : public std::enable_shared_from_this<Capture> {
 public:
  void join(CUstream_st& stream);

  void run(const CUstream_st& stream, Operation operation);
  void record(const CUstream_st& stream, CUevent_st& event);
  // The stream joins the event's capture. Throws DeviceError where a capture and what is outside it
  // would wait for each other.
  static void wait(CUstream_st& stream, const CUevent_st& event);

  // Memory is given back when the capture has ended.
  struct Deallocation {
    void* pointer;
    uint64_t allocation;
    CUstream_st* stream;
  };
  void defer(const Deallocation& deallocation) { deallocations_.push_back(deallocation); }

  // Makes the graph an error, whatever becomes of the exception that tells of it.
  void invalidate(const std::string& message) { fault_ = message; }

  // Ends it: streams run again what is queued on them.
  void end();
  void forget(CUstream_st& stream);  // which is being destroyed

  // Throws DeviceError unless the capture is valid, all streams have been joined to the first, and
  // the graph uses nothing that was freed.
  void check_complete() const;

  std::vector<Command>& commands() { return commands_; }
  size_t lanes() const { return lanes_.size(); }
  size_t records() const { return records_.size(); }
  const std::vector<Deallocation>& deallocations() const { return deallocations_; }
  // The arrival counters of a stream that is part of it, nullptr until set.
  Block*& counters_of(const CUstream_st& stream) { return lanes_[lane_of(stream)].counters; }
  std::vector<Block*> counters() const;

 private:
  struct Lane {
    CUstream_st* stream;
    Clock clock;
    std::string last;  // work
    Block* counters = nullptr;
  };
  size_t lane_of(const CUstream_st& stream) const;

  bool ended_ = false;
  std::string fault_;
  std::vector<Command> commands_;
  std::vector<Lane> lanes_;
  std::vector<Clock> records_;
  std::vector<Deallocation> deallocations_;
};

}  // namespace warptape::gpu::emulated
