// Memory, copies and fills of the emulated device, behind core/device/gpu.h.

#include <cstring>
#include <utility>

#include "core/check.h"
#include "core/device/arrivals.h"
#include "core/device/gpu/parts.h"
#include "core/device/unordered_memory.h"
#include "emulator/device/machine.h"

namespace warptape::gpu {

using namespace emulated;

void* allocate(size_t bytes, StreamHandle handle) {
  std::lock_guard lock(machine().mutex);
  machine().check_healthy();
  refuse_capture("allocate");
  return machine().allocate(bytes, machine().stream(handle, "allocate"));
}

void deallocate(void* pointer, StreamHandle stream) noexcept {
  if (pointer != nullptr) {
    std::lock_guard lock(machine().mutex);
    machine().deallocate(pointer, stream);
  }
}

bool retire(void* pointer, StreamHandle stream) noexcept {
  std::lock_guard lock(machine().mutex);
  return machine().retire(pointer, stream);
}

void reuse(void* pointer, size_t bytes, StreamHandle handle) {
  std::lock_guard lock(machine().mutex);
  machine().check_healthy();
  refuse_capture("allocate");
  machine().reuse(pointer, bytes, machine().stream(handle, "allocate"));
}

// Blocks that were freed are joined where memory runs out (Machine::allocate).
void trim() noexcept {}

void* allocate_unordered(size_t bytes) {
  std::lock_guard lock(machine().mutex);
  machine().check_healthy();
  return machine().allocate_unordered(bytes);
}

void deallocate_unordered(void* pointer) noexcept {
  if (pointer != nullptr) {
    std::lock_guard lock(machine().mutex);
    machine().deallocate_unordered(pointer);
  }
}

void* allocate_pinned(size_t bytes) {
  std::lock_guard lock(machine().mutex);
  machine().check_healthy();
  refuse_capture("allocate_pinned");
  void* pointer = machine().pinned.allocate(bytes);
  check<OutOfMemory>(pointer != nullptr, "[allocate_pinned] out of memory: requested {} bytes",
                     bytes);
  return pointer;
}

void deallocate_pinned(void* pointer) noexcept {
  if (pointer == nullptr) {
    return;
  }
  std::lock_guard lock(machine().mutex);
  if (!machine().pinned.deallocate(pointer)) {
    machine().scheduler.set_fault(
        fmt::format("[deallocate_pinned] got {}, wanted what allocate_pinned returned", pointer));
  }
}

void copy(void* to, const void* from, size_t bytes, StreamHandle handle) {
  std::lock_guard lock(machine().mutex);
  machine().check_healthy();
  CUstream_st& stream = machine().stream(handle, "copy");
  if (bytes == 0) {
    return;
  }
  const DeviceUse target = machine().use_of(to, bytes, AccessMode::Write, "copy", "target");
  const DeviceUse source = machine().use_of(from, bytes, AccessMode::Read, "copy", "source");
  const auto* begin = static_cast<const char*>(from);
  const auto* target_begin = static_cast<const char*>(to);
  check<DeviceError>(begin + bytes <= target_begin || target_begin + bytes <= begin,
                     "[copy] source and target of {} bytes overlap", bytes);
  machine().submit(stream, {"copy",
                            {source, target},
                            std::nullopt,
                            [to, from, bytes] { std::memcpy(to, from, bytes); },
                            static_cast<int64_t>(bytes)});
}

void copy_from_pinned(void* to, const void* from, size_t bytes, StreamHandle handle) {
  constexpr const char* who = "copy_from_pinned";
  std::lock_guard lock(machine().mutex);
  machine().check_healthy();
  CUstream_st& stream = machine().stream(handle, who);
  if (bytes == 0) {
    return;
  }
  const DeviceUse target = machine().use_of(to, bytes, AccessMode::Write, who, "target");
  const HostUse source{static_cast<char*>(const_cast<void*>(from)), static_cast<char*>(to), bytes,
                       AccessMode::Read};
  machine().submit(stream, {who, {target}, source, nullptr, static_cast<int64_t>(bytes)});
}

void copy_to_pinned(void* to, const void* from, size_t bytes, StreamHandle handle) {
  constexpr const char* who = "copy_to_pinned";
  std::lock_guard lock(machine().mutex);
  machine().check_healthy();
  CUstream_st& stream = machine().stream(handle, who);
  if (bytes == 0) {
    return;
  }
  const DeviceUse source = machine().use_of(from, bytes, AccessMode::Read, who, "source");
  const HostUse target{static_cast<char*>(to), static_cast<char*>(const_cast<void*>(from)), bytes,
                       AccessMode::Write};
  machine().submit(stream, {who, {source}, target, nullptr, static_cast<int64_t>(bytes)});
}

void fill_bytes(void* pointer, int value, size_t bytes, StreamHandle handle) {
  std::lock_guard lock(machine().mutex);
  machine().check_healthy();
  CUstream_st& stream = machine().stream(handle, "fill_bytes");
  if (bytes == 0) {
    return;
  }
  const DeviceUse target =
      machine().use_of(pointer, bytes, AccessMode::Write, "fill_bytes", "target");
  machine().submit(stream, {"fill_bytes",
                            {target},
                            std::nullopt,
                            [pointer, value, bytes] { std::memset(pointer, value, bytes); },
                            static_cast<int64_t>(bytes)});
}

namespace parts {

unsigned long long* arrival_counters(StreamHandle handle) {
  std::lock_guard lock(machine().mutex);
  machine().check_healthy();
  CUstream_st& stream = machine().stream(handle, "arrival_counters");
  Block*& counters =
      stream.capture != nullptr ? stream.capture->counters_of(stream) : stream.counters;
  if (counters == nullptr) {
    check<DeviceError>(
        stream.capture == nullptr || stream.capture->counters().size() < most_counting_streams,
        "[arrival_counters] got more than {} streams of a capture", most_counting_streams);
    counters = machine().make_counters();
  }
  return reinterpret_cast<unsigned long long*>(counters->data());
}

ErrorReport* make_report_word() {
  std::lock_guard lock(machine().mutex);
  void* word = machine().allocate_unordered(sizeof(ErrorReport));
  check<DeviceError>(word != nullptr, "[report_word] out of memory on the device");
  return static_cast<ErrorReport*>(word);
}

ErrorReport take_report(ErrorReport* word) {
  std::lock_guard lock(machine().mutex);
  const OpenMemory open(Arena::place_of(*machine().arena.find(word)));
  return std::exchange(*word, ErrorReport{});
}

}  // namespace parts
}  // namespace warptape::gpu
