#include "core/device/gpu/backend.h"

#include "core/device/gpu/parts.h"

namespace warptape::gpu {
namespace {

class GpuBackend final : public DeviceBackend {
 public:
  Stream current_stream() override { return gpu::current_stream(); }
  void* allocate(size_t bytes, Stream stream) override { return gpu::allocate(bytes, stream); }
  void deallocate(void* pointer, size_t, Stream stream) noexcept override {
    // All work of a stream that is gone has run: any other stream will do.
    gpu::deallocate(pointer, parts::is_live(stream) ? stream : parts::shared_stream());
  }
  bool retire(void* pointer, Stream stream) noexcept override {
    return gpu::retire(pointer, stream);
  }
  void reuse(void* pointer, size_t bytes, Stream stream) override {
    gpu::reuse(pointer, bytes, stream);
  }
  bool is_live(Stream stream) override { return parts::is_live(stream); }
  void trim() noexcept override { gpu::trim(); }
  void copy(void* to, const void* from, size_t bytes) override {
    gpu::copy(to, from, bytes, gpu::current_stream());
  }
  void copy_from_host(void* to, const void* from, size_t bytes) override {
    gpu::copy_from_host(to, from, bytes, gpu::current_stream());
  }
  void copy_to_host(void* to, const void* from, size_t bytes) override {
    gpu::copy_to_host(to, from, bytes, gpu::current_stream());
  }
  void fill_bytes(void* pointer, int value, size_t bytes) override {
    gpu::fill_bytes(pointer, value, bytes, gpu::current_stream());
  }
  void synchronize() override { gpu::synchronize(); }
};

}  // namespace

DeviceBackend* backend(std::string* reason) {
  struct Found {
    std::string reason;
    DeviceBackend* backend = nullptr;
  };
  // Asked for once; never destroyed, as storages in static objects outlive main.
  static const Found* found = [] {
    auto* result = new Found;
    if (device_count(&result->reason) > 0) {
      result->backend = new GpuBackend;
    }
    return result;
  }();
  if (reason != nullptr) {
    *reason = found->reason;
  }
  return found->backend;
}

}  // namespace warptape::gpu
