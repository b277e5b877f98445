#pragma once
// The memory of the emulated device: one reserved range of addresses that nobody may touch except
// queued work while it runs, and that only where it said so. Allocations lie in it between guards,
// on pages of their own.

#include <map>
#include <span>
#include <string>

#include "emulator/device/clock.h"
#include "emulator/device/emulated.h"

namespace warptape::gpu::emulated {

// A piece of the range: guard, memory, guard. Owned by an allocation or free.
struct Block {
  char* begin = nullptr;
  size_t size = 0;       // with both guards
  size_t bytes = 0;      // as asked for
  uint64_t id = 0;       // of the allocation; 0: free
  bool ordered = true;   // false: kernels use atomics on it, so that streams may share it
  bool dry = false;      // allocated during a DryRun: its memory is never touched
  bool retired = false;  // freed, but kept by the cache above the device

  bool is_free() const { return id == 0 && !retired; }

  // The last write, and the reads since.
  Use write;
  std::vector<Use> reads;

  char* data() const;
};

class Arena {
 public:
  Arena();

  const void* begin() const { return base_; }
  size_t capacity() const { return capacity_; }
  bool contains(const void* pointer) const;

  // A block for an allocation that is made at `clock`: a free one of this size, or a fresh one.
  // nullptr if there is none.
  Block* take(size_t bytes, const Clock& clock);
  void give_back(Block& block);
  // A new allocation in a block that is retired or fresh. Throws DeviceError where it is too small.
  void reuse(Block& block, size_t bytes);
  // Joins neighbouring free blocks and cuts one of them. Only while no work is queued.
  Block* take_from_merged(size_t bytes);

  // The block in which the pointer lies, guards included, or nullptr.
  Block* find(const void* pointer);
  // The same without locks or changes, for a signal handler.
  const Block* find(const void* pointer) const;

  // What queued work does when it comes to an allocation or its end, by which time the block may
  // already be somebody else's: hence the copy. The memory is filled with 0xFF both times, NaN in
  // every float type, unless it is dry.
  struct Place {
    char* begin;
    size_t size;
    size_t bytes;
    bool dry = false;
  };
  static Place place_of(const Block& block) {
    return {block.begin, block.size, block.bytes, block.dry};
  }
  static void make(const Place& place);
  static void unmake(const Place& place);

  // Throws DeviceError if bytes beside one of these allocations were written; `kernel`, which could
  // touch no others, has just run.
  static void check_guards(std::span<const Place> places, const std::string& kernel);

 private:
  Block* own(Block& block, size_t bytes);
  Block* add_block(char* begin, size_t size);

  char* base_ = nullptr;
  size_t capacity_ = 0;
  size_t used_ = 0;
  uint64_t last_id_ = 0;
  std::map<const char*, Block> blocks_;  // by begin
  std::multimap<size_t, Block*> free_;   // by size; the latest of a size last
};

// An allocation that a work uses: it may read it, or write to it too.
struct Opening {
  Arena::Place place;
  AccessMode mode;
};

// While it lives, these allocations can be touched. No two of them are the same.
class OpenMemory {
 public:
  explicit OpenMemory(std::span<const Opening> openings);
  explicit OpenMemory(const Arena::Place& place);  // for writes
  ~OpenMemory();
  OpenMemory(const OpenMemory&) = delete;
  OpenMemory& operator=(const OpenMemory&) = delete;

 private:
  std::vector<Opening> openings_;
};

// Makes a touch of device memory by the host, or by a kernel that none of its arguments allows, end
// the program with a message that says so.
void explain_host_accesses(const Arena& arena);

}  // namespace warptape::gpu::emulated
