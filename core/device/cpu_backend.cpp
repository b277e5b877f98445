#include "core/device/cpu_backend.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace warptape {
namespace {

constexpr size_t alignment = 64;
constexpr size_t huge_page = size_t{2} << 20;

// Every copy and kernel on the CPU has finished when the call returns, so there is nothing to wait
// for.
class CpuBackend final : public DeviceBackend {
 public:
  Stream current_stream() override { return nullptr; }
  void* allocate(size_t bytes, Stream) override {
    // Blocks of many pages come as huge pages: a 33 MB activation costs 16 page faults, not 8,192.
    const bool huge = bytes >= 2 * huge_page;
    void* pointer = nullptr;
    if (::posix_memalign(&pointer, huge ? huge_page : alignment, bytes) != 0) {
      return nullptr;
    }
    if (huge) {
      ::madvise(pointer, bytes, MADV_HUGEPAGE);  // advice: a refusal changes speed only
    }
    return pointer;
  }
  void deallocate(void* pointer, size_t, Stream) noexcept override { std::free(pointer); }
  void copy(void* to, const void* from, size_t bytes) override {
    if (bytes > 0) {  // an empty vector's data() may be null, which memmove must not see
      std::memmove(to, from, bytes);
    }
  }
  void copy_from_host(void* to, const void* from, size_t bytes) override { copy(to, from, bytes); }
  void copy_to_host(void* to, const void* from, size_t bytes) override { copy(to, from, bytes); }
  void fill_bytes(void* pointer, int value, size_t bytes) override {
    std::memset(pointer, value, bytes);
  }
  void synchronize() override {}
};

}  // namespace

DeviceBackend& cpu_backend() {
  // Never destroyed: storages in static objects give their memory back after main.
  static auto* backend = new CpuBackend;
  return *backend;
}

}  // namespace warptape
