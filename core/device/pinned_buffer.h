#pragma once
// Host memory that asynchronous copies can use, freed with this object: wait for its copies before.

#include "core/device/gpu.h"

namespace warptape::gpu {

class PinnedBuffer {
 public:
  explicit PinnedBuffer(size_t bytes)
      : bytes_(bytes), data_(static_cast<char*>(allocate_pinned(bytes))) {}
  ~PinnedBuffer() { deallocate_pinned(data_); }
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;

  char* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  size_t bytes_;
  char* data_;
};

}  // namespace warptape::gpu
