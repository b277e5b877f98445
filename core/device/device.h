#pragma once
// A device and the seam behind it: what Warptape asks of a device. The CPU is cpu_backend.cpp, cuda
// is gpu/backend.cpp on the interface of gpu.h. Work on a device is ordered by streams; the CPU has
// one stream and runs at once. How an op picks its kernel is in on_device.h.

#include <cstddef>
#include <iosfwd>
#include <string>

struct CUstream_st;  // CUDA's, or the emulated device's

namespace warptape {

enum class DeviceType { CPU, CUDA };

struct Device {
  DeviceType type = DeviceType::CPU;
  int index = 0;
  bool operator==(const Device& other) const = default;
};

inline constexpr Device cpu{};
inline constexpr Device cuda{DeviceType::CUDA};  // the first GPU

std::string to_string(Device device);  // "cpu", "cuda:0"
std::ostream& operator<<(std::ostream& out, Device device);

// "cpu", "cuda" or "cuda:1"; throws ValueError on anything else.
Device parse_device(const std::string& text);

class DeviceBackend {
 public:
  using Stream = CUstream_st*;  // nullptr on a device that has only one

  virtual ~DeviceBackend() = default;

  // The stream of the calling thread, on which copies, fills and ops queue.
  virtual Stream current_stream() = 0;

  // Memory aligned to at least 64 bytes, or nullptr when there is none left; usable by what is
  // queued on the stream from here on. It goes back on the same stream. The caching allocator
  // (core/storage.h) stands between this and everybody else.
  virtual void* allocate(size_t bytes, Stream stream) = 0;
  virtual void deallocate(void* pointer, size_t bytes, Stream stream) noexcept = 0;

  // For that allocator, which keeps blocks instead of giving them back. Nobody uses a block from
  // retire() to reuse(), which have the order of deallocate() and allocate(); devices that can tell
  // hold it to that.
  //   retire(pointer, stream): false, and nothing done, where the block must go back instead.
  //   reuse(pointer, bytes, stream): of a block that is retired or fresh, and large enough.
  //   is_live(stream): false once the stream is gone, which is when all its work has run.
  //   trim(): waits for what went back, and leaves none of it with the driver.
  virtual bool retire(void*, Stream) noexcept { return true; }
  virtual void reuse(void*, size_t, Stream) {}
  virtual bool is_live(Stream) { return true; }
  virtual void trim() noexcept {}

  // Ordered after the work queued before on the current stream.
  virtual void copy(void* to, const void* from, size_t bytes) = 0;            // within the device
  virtual void copy_from_host(void* to, const void* from, size_t bytes) = 0;  // returns when read
  virtual void copy_to_host(void* to, const void* from, size_t bytes) = 0;    // returns when done
  virtual void fill_bytes(void* pointer, int value, size_t bytes) = 0;
  virtual void synchronize() = 0;
};

// Throws DeviceError, saying why, where this build or this machine has no such device.
DeviceBackend& backend(Device device);

bool is_available(DeviceType type);

}  // namespace warptape
