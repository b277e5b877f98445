// Memory, copies and fills on the CUDA runtime. Memory is the driver's, in stream order; what is
// freed and asked for at every step never comes here: core/storage.cpp keeps it.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "core/check.h"
#include "core/device/cuda/check_cuda.h"
#include "core/device/cuda/handles.h"
#include "core/device/gpu/parts.h"
#include "core/device/unordered_memory.h"

namespace warptape::gpu {
namespace {

// Blocks stay with the process: by default the pool gives them back at every synchronisation.
void keep_freed_blocks() {
  static const bool once = [] {
    cudaMemPool_t pool = nullptr;
    check_cuda(cudaDeviceGetDefaultMemPool(&pool, 0), "allocate");
    uint64_t threshold = UINT64_MAX;
    check_cuda(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold),
               "allocate");
    return true;
  }();
  static_cast<void>(once);
}

void queue_copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, StreamHandle stream,
                const char* who) {
  check_stream(stream, who);
  if (bytes > 0) {
    check_cuda(cudaMemcpyAsync(to, from, bytes, kind, stream), who);
  }
}

// With ordinary memory the runtime would copy all the same, but make the host wait.
void check_pinned(const void* pointer, size_t bytes, const char* who) {
  if (bytes == 0) {
    return;
  }
  cudaPointerAttributes attributes{};
  check_cuda(cudaPointerGetAttributes(&attributes, pointer), who);
  check<DeviceError>(attributes.type == cudaMemoryTypeHost,
                     "[{}] host memory: got {} bytes at {}, wanted pinned memory", who, bytes,
                     pointer);
}

}  // namespace

void* allocate(size_t bytes, StreamHandle stream) {
  check_stream(stream, "allocate");
  refuse_capture("allocate");
  keep_freed_blocks();
  void* pointer = nullptr;
  const cudaError_t status = cudaMallocAsync(&pointer, std::max<size_t>(bytes, 1), stream);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check_cuda(status, "allocate");
  return pointer;
}

// Nobody can be told of an error here; a fault of the device sticks and surfaces elsewhere. After
// main the runtime may be gone, and the memory with it.
void deallocate(void* pointer, StreamHandle stream) noexcept {
  if (pointer == nullptr) {
    return;
  }
  if (is_capturing()) {
    deallocate_after_capture(pointer, stream);
  } else {
    cudaFreeAsync(pointer, stream);
  }
}

bool retire(void*, StreamHandle stream) noexcept {
  return !is_capturing() && parts::is_live(stream);
}

void reuse(void*, size_t, StreamHandle stream) {
  check_stream(stream, "allocate");
  refuse_capture("allocate");
}

// An error here is a fault of the device, which sticks and surfaces elsewhere, or another thread's
// capture, which does not allow to wait: then less is given back.
void trim() noexcept {
  cudaMemPool_t pool = nullptr;
  if (is_capturing() || cudaDeviceSynchronize() != cudaSuccess ||
      cudaDeviceGetDefaultMemPool(&pool, 0) != cudaSuccess) {
    cudaGetLastError();
    return;
  }
  cudaMemPoolTrimTo(pool, 0);
}

void* allocate_unordered(size_t bytes) {
  const OutsideCapture outside;
  void* pointer = nullptr;
  const cudaError_t status = cudaMalloc(&pointer, std::max<size_t>(bytes, 1));
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check_cuda(status, "allocate_unordered");
  return pointer;
}

void deallocate_unordered(void* pointer) noexcept {
  const OutsideCapture outside;
  cudaFree(pointer);  // which waits
}

void* allocate_pinned(size_t bytes) {
  refuse_capture("allocate_pinned");
  void* pointer = nullptr;
  const cudaError_t status =
      cudaHostAlloc(&pointer, std::max<size_t>(bytes, 1), cudaHostAllocDefault);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw OutOfMemory(fmt::format("[allocate_pinned] out of memory: requested {} bytes", bytes));
  }
  check_cuda(status, "allocate_pinned");
  return pointer;
}

void deallocate_pinned(void* pointer) noexcept {
  cudaFreeHost(pointer);
}

void copy(void* to, const void* from, size_t bytes, StreamHandle stream) {
  queue_copy(to, from, bytes, cudaMemcpyDeviceToDevice, stream, "copy");
}

void copy_from_pinned(void* to, const void* from, size_t bytes, StreamHandle stream) {
  check_pinned(from, bytes, "copy_from_pinned");
  queue_copy(to, from, bytes, cudaMemcpyHostToDevice, stream, "copy_from_pinned");
}

void copy_to_pinned(void* to, const void* from, size_t bytes, StreamHandle stream) {
  check_pinned(to, bytes, "copy_to_pinned");
  queue_copy(to, from, bytes, cudaMemcpyDeviceToHost, stream, "copy_to_pinned");
}

void fill_bytes(void* pointer, int value, size_t bytes, StreamHandle stream) {
  check_stream(stream, "fill_bytes");
  if (bytes > 0) {
    check_cuda(cudaMemsetAsync(pointer, value, bytes, stream), "fill_bytes");
  }
}

namespace parts {

// Host memory that the device writes through the bus: reading it costs nothing after a
// synchronisation, and a report is rare.
ErrorReport* make_report_word() {
  const OutsideCapture outside;
  void* word = nullptr;
  check_cuda(cudaHostAlloc(&word, sizeof(ErrorReport), cudaHostAllocMapped), "report_word");
  std::memset(word, 0, sizeof(ErrorReport));
  return static_cast<ErrorReport*>(word);
}

ErrorReport take_report(ErrorReport* word) {
  // A kernel of another stream may be reporting now. It writes the code last, and may begin once
  // `filled` is 0 again.
  const int code = std::atomic_ref(word->code).load(std::memory_order_acquire);
  if (code == 0) {
    return {};
  }
  const ErrorReport report{code, word->filled, word->index, word->value};
  word->code = 0;
  std::atomic_ref(word->filled).store(0, std::memory_order_release);
  return report;
}

}  // namespace parts
}  // namespace warptape::gpu
