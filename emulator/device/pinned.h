#pragma once
// Host memory that asynchronous copies can use, and the copies that use it.

#include <map>

#include "emulator/device/work.h"

namespace warptape::gpu::emulated {

class PinnedMemory {
 public:
  void* allocate(size_t bytes);             // nullptr if there is none left
  bool deallocate(void* pointer) noexcept;  // false if it is not pinned memory

  // Throws DeviceError unless the copy's host side is pinned memory, and ordered with the other
  // copies that use the same bytes, except where both only read them.
  void check_ordered(const Operation& operation, const Clock& clock) const;
  // Returns what runs the copy. It is a fault if its host side has been freed by then, or the host
  // has changed its source. The target of a copy to the host is NaN until then.
  std::function<void()> queue(const Operation& operation, const Use& use);
  // Forgets the copies that happened before.
  void forget(const Clock& clock);

 private:
  struct Piece {
    size_t bytes;
    uint64_t id;
  };
  struct Copy {
    HostUse host;
    uint64_t piece;
    Use use;
    bool done = false;
    // Of a copy to the device: its bytes by stream order, and what the host's memory shows now.
    // They differ while copies to the host are queued before or behind it.
    std::vector<char> bytes{};
    std::vector<char> shown{};
    bool changed = false;  // by the host
  };
  static bool overlap(const Copy& a, const Copy& b);
  static bool shows_other_bytes(const Copy& copy);

  // The number of the allocation in which all of the copy's host side lies; 0 if in none.
  uint64_t find(const HostUse& host) const;
  void run(Copy& copy);
  // Sets the target of a copy to the host: to its bytes, or to NaN.
  void set_target(const Copy& copy, bool arrived);

  std::map<const char*, Piece> pieces_;
  uint64_t last_id_ = 0;
  std::vector<std::shared_ptr<Copy>> copies_;  // in the order of the calls
};

}  // namespace warptape::gpu::emulated
