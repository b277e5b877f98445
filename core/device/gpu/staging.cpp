// Copies from and to any host memory, through a ring of pinned buffers.

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>

#include "core/check.h"
#include "core/device/gpu.h"

namespace warptape::gpu {
namespace {

// 4 MB keep a PCIe link busy; four let the host fill one while others travel.
constexpr size_t buffer_bytes = size_t{4} << 20;
constexpr size_t buffer_count = 4;

// A pinned buffer and the end of the copy that used it last.
struct Buffer {
  void* memory = allocate_pinned(buffer_bytes);
  Event copied;
};

class Ring {
 public:
  void copy_from_host(char* to, const char* from, size_t bytes, StreamHandle stream) {
    std::lock_guard lock(mutex_);
    for (size_t begin = 0; begin < bytes; begin += buffer_bytes) {
      const size_t part = std::min(buffer_bytes, bytes - begin);
      Buffer& buffer = next();
      std::memcpy(buffer.memory, from + begin, part);
      copy_from_pinned(to + begin, buffer.memory, part, stream);
      buffer.copied.record(stream);
    }
  }

  void copy_to_host(char* to, const char* from, size_t bytes, StreamHandle stream) {
    std::lock_guard lock(mutex_);
    for (size_t begin = 0; begin < bytes; begin += buffer_bytes) {
      const size_t part = std::min(buffer_bytes, bytes - begin);
      Buffer& buffer = next();
      copy_to_pinned(buffer.memory, from + begin, part, stream);
      buffer.copied.record(stream);
      buffer.copied.synchronize();
      std::memcpy(to + begin, buffer.memory, part);
    }
  }

 private:
  // The buffer that was used longest ago, once its copy has run.
  Buffer& next() {
    Buffer*& buffer = buffers_[next_++ % buffer_count];
    if (buffer == nullptr) {
      buffer = new Buffer;
    } else {
      buffer->copied.synchronize();
    }
    return *buffer;
  }

  std::mutex mutex_;
  std::array<Buffer*, buffer_count> buffers_{};
  size_t next_ = 0;
};

Ring& ring() {
  static auto* instance = new Ring;  // never destroyed: no call of the device after main
  return *instance;
}

void refuse_capture(const char* who) {
  check<DeviceError>(!is_capturing(),
                     "[{}] is not possible during graph capture: a replay would find other bytes "
                     "in the staging buffer",
                     who);
}

}  // namespace

void copy_from_host(void* to, const void* from, size_t bytes, StreamHandle stream) {
  refuse_capture("copy_from_host");
  ring().copy_from_host(static_cast<char*>(to), static_cast<const char*>(from), bytes, stream);
}

void copy_to_host(void* to, const void* from, size_t bytes, StreamHandle stream) {
  refuse_capture("copy_to_host");
  ring().copy_to_host(static_cast<char*>(to), static_cast<const char*>(from), bytes, stream);
  synchronize(stream);
}

}  // namespace warptape::gpu
