#pragma once
// How an op picks its kernel. Apart from device.h because only this depends on whether the build
// has a GPU.

#include "core/device/device.h"
#include "core/device/has_gpu.h"

namespace warptape {

// True where this build has a device cuda, real or emulated (WARPTAPE_GPU is not off).
inline constexpr bool has_gpu = WARPTAPE_HAS_GPU;

[[noreturn]] void throw_no_kernel(const char* op, Device device);

// Runs what an op has for a device. An op without a kernel for it raises DeviceError: nothing falls
// back to the CPU unasked. Where the build has no GPU, gpu_kernel is never called: what it calls
// need not be linked.
template <class Cpu, class Gpu>
void on_device(const char* op, Device device, Cpu&& cpu_kernel, Gpu&& gpu_kernel) {
  if (device.type == DeviceType::CPU) {
    cpu_kernel();
    return;
  }
  if constexpr (has_gpu) {
    gpu_kernel();
  } else {
    throw_no_kernel(op, device);
  }
}

template <class Cpu>
void on_device(const char* op, Device device, Cpu&& cpu_kernel) {
  if (device.type != DeviceType::CPU) {
    throw_no_kernel(op, device);
  }
  cpu_kernel();
}

}  // namespace warptape
