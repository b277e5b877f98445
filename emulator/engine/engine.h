#pragma once
// The SIMT engine: runs a CUDA kernel, compiled as C++, on the host. One block runs on one OS
// thread; each of its CUDA threads is a fiber that suspends at barriers and warp collectives.
// Blocks are spread over OS threads. Kernel authors include core/simt/simt.h, not this.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "emulator/engine/host_types.h"

namespace warptape::simt {

// What the engine allows, the smallest of the GPUs that releases are built for (sm_80 to sm_120).
inline constexpr unsigned max_threads_per_block = 1024;
inline constexpr unsigned max_block_z = 64;
inline constexpr size_t max_shared_bytes = 99 * 1024;  // static and dynamic together

struct Grid {
  dim3 grid;
  dim3 block;
  size_t dynamic_shared = 0;  // bytes
  const char* name = "kernel";
  const void* function = nullptr;  // the __global__ function, for the memory profile
};

// Throws DeviceError, naming the kernel, where no block of the grid could start: too many threads
// or too much dynamic shared memory for a block, too large a grid.
void check_limits(const Grid& grid);

// Runs thread_body once per CUDA thread, with threadIdx and the others set; returns when all blocks
// have finished. Checks the limits, and throws KernelError at the first fault: divergent barrier,
// deadlock, bad mask, too much shared memory, bad address. Not reentrant from within a kernel.
void run_grid(const Grid& grid, const std::function<void()>& thread_body);

struct Settings {
  uint64_t seed = 1;     // thread and block orders; 0: always ascending. WARPTAPE_SIMT_SEED
  unsigned workers = 0;  // OS threads for blocks; 0: as many as cores. WARPTAPE_SIMT_THREADS
  // "file.cuh:12": the barrier at this line does nothing. WARPTAPE_SIMT_DELETE_BARRIER
  std::string deleted_barrier{};
  // A file: to it the line of every barrier is appended, once, when it is first executed.
  // WARPTAPE_SIMT_RECORD_BARRIERS
  std::string barrier_record{};
};

// The settings in use, read from the environment at first use. Change them only while no kernel
// runs.
Settings& settings();

// Sets the seed and counts launches anew: what follows runs in the orders of a program's start.
void restart_orders(uint64_t seed);

// Grids run so far.
uint64_t launch_count();

// "seed 7, launch 12", for the messages of others that report on a kernel.
std::string order_description();

// "in kernel K, block (0, 0, 0), thread (3, 0, 0)" while the calling OS thread runs a kernel, else
// "". Usable in a signal handler. Reports of sanitizers and of stack overflows begin with it.
const char* where();

}  // namespace warptape::simt
