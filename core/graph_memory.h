#pragma once
// Memory for work that is captured as graphs (core/device/gpu.h): what a replay writes must be
// nobody else's, and nothing can be allocated in stream order during a capture.

#include <memory>

#include "core/device/device.h"

namespace warptape {

// While a Scope lives, the storages of its thread on `device` come from this memory, in captures
// too. When one of them goes, on whatever thread, its block comes back here and serves later
// storages of a scope, and nobody else.
//
// Graphs that share one may use each other's blocks: they are replayed one after the other on one
// stream, and what one leaves in a tensor is valid until the next replay. It is destroyed when its
// graphs are gone; blocks of tensors that live on go back to the device with them.
class GraphMemory {
 public:
  explicit GraphMemory(Device device);
  ~GraphMemory();
  GraphMemory(const GraphMemory&) = delete;
  GraphMemory& operator=(const GraphMemory&) = delete;

  size_t reserved_bytes() const;  // got from the device

  class Scope {
   public:
    explicit Scope(GraphMemory& memory);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    GraphMemory* outer_;
  };
  // Whether the calling thread is in a scope of one for this device: whether it can allocate during
  // a capture.
  static bool is_open(Device device);

 private:
  friend class CachingAllocator;
  struct Blocks;
  Device device_;
  std::shared_ptr<Blocks> blocks_;
};

}  // namespace warptape
