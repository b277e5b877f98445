#include "emulator/engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>
#include <thread>

#include "core/check.h"
#include "emulator/engine/faults.h"
#include "emulator/engine/state.h"

// The builtins of the calling OS thread's current CUDA thread, under CUDA's names so that debuggers
// and kernels find them alike.
constinit thread_local uint3 threadIdx{};
constinit thread_local uint3 blockIdx{};
constinit thread_local dim3 blockDim{0, 0, 0};
constinit thread_local dim3 gridDim{0, 0, 0};

namespace warptape::simt {
namespace {

std::atomic<uint64_t> launches{0};
char start_tag;
char end_tag;

std::string text_from_environment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

uint64_t number_from_environment(const char* name, uint64_t otherwise,
                                 uint64_t most = std::numeric_limits<uint64_t>::max()) {
  const std::string text = text_from_environment(name);
  if (text.empty()) {
    return otherwise;
  }
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, fault] = std::from_chars(text.data(), end, value);
  check<ValueError>(fault == std::errc{} && stop == end && value <= most,
                    "[simt] {}: got \"{}\", wanted a decimal number of 0 to {}", name,
                    escaped(text), most);
  return value;
}

Settings settings_from_environment() {
  Settings result;
  result.seed = number_from_environment("WARPTAPE_SIMT_SEED", result.seed);
  result.workers = static_cast<unsigned>(
      number_from_environment("WARPTAPE_SIMT_THREADS", 0, std::numeric_limits<unsigned>::max()));
  result.deleted_barrier = text_from_environment("WARPTAPE_SIMT_DELETE_BARRIER");
  result.barrier_record = text_from_environment("WARPTAPE_SIMT_RECORD_BARRIERS");
  return result;
}

// Runners keep their stacks from launch to launch.
class RunnerPool {
 public:
  std::unique_ptr<BlockRunner> take() {
    std::lock_guard lock(mutex_);
    if (free_.empty()) {
      return std::make_unique<BlockRunner>();
    }
    std::unique_ptr<BlockRunner> runner = std::move(free_.back());
    free_.pop_back();
    return runner;
  }
  void give_back(std::unique_ptr<BlockRunner> runner) {
    std::lock_guard lock(mutex_);
    free_.push_back(std::move(runner));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<BlockRunner>> free_;
};

RunnerPool& runner_pool() {
  static auto* pool = new RunnerPool;  // never destroyed: kernels may run in static destructors
  return *pool;
}

std::string text(const uint3& index) {
  return fmt::format("({}, {}, {})", index.x, index.y, index.z);
}

// One launch: blocks in an order drawn from the seed, taken by workers one by one.
class GridRun {
 public:
  GridRun(const Grid& grid, const std::function<void()>& body)
      : grid_(grid), body_(body), blocks_(size_t{grid.grid.x} * grid.grid.y * grid.grid.z) {
    const uint64_t seed = settings().seed;
    order_ = seed == 0 ? 0 : seed * 0x9E3779B97F4A7C15 + launches * 0xD1B54A32D192ED03 + 1;
    // Stepping by a number without a common divisor visits every block once.
    first_ = order_ % blocks_;
    step_ = order_ == 0 ? 1 : (order_ >> 20) % blocks_ | 1;
    while (std::gcd(step_, blocks_) != 1) {
      step_ += 2;
    }
  }

  void run() {
    const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
    const size_t wanted = settings().workers == 0 ? cores : settings().workers;
    const size_t threads = size_t{grid_.block.x} * grid_.block.y * grid_.block.z;
    // A thread costs more than a few hundred kernel threads do.
    const size_t worthwhile = thread_sanitizer ? blocks_ : 1 + blocks_ * threads / 4096;
    const size_t workers = std::min({wanted, blocks_, worthwhile});
    tsan_release(grid_start_tag());
    std::vector<std::thread> others;
    for (size_t i = 1; i < workers; ++i) {
      others.emplace_back([this] { work(); });
    }
    work();
    for (std::thread& other : others) {
      other.join();
    }
    tsan_acquire(grid_end_tag());
  }

  std::string error;

 private:
  void work() {
    explain_faults();
    std::unique_ptr<BlockRunner> runner = pool_.take();
    for (size_t i = next_++; i < blocks_ && !failed_; i = next_++) {
      const size_t linear = (first_ + i * step_) % blocks_;
      const uint3 block{static_cast<unsigned>(linear % grid_.grid.x),
                        static_cast<unsigned>(linear / grid_.grid.x % grid_.grid.y),
                        static_cast<unsigned>(linear / grid_.grid.x / grid_.grid.y)};
      const uint64_t order = order_ == 0 ? 0 : order_ + linear + 1;
      const BlockError fault = runner->run(grid_, block, body_, order);
      if (!fault.message.empty() && !failed_.exchange(true)) {
        error = fmt::format("[{}] {}, in block {}; {}", grid_.name, fault.message, text(block),
                            order_description());
      }
    }
    pool_.give_back(std::move(runner));
  }

  RunnerPool& pool_ = runner_pool();
  const Grid& grid_;
  const std::function<void()>& body_;
  size_t blocks_;
  uint64_t order_ = 0;
  size_t first_ = 0;
  size_t step_ = 1;
  std::atomic<size_t> next_{0};
  std::atomic<bool> failed_{false};
};

}  // namespace

Settings& settings() {
  static Settings instance = settings_from_environment();
  return instance;
}

void restart_orders(uint64_t seed) {
  settings().seed = seed;
  launches = 0;
}

uint64_t launch_count() {
  return launches;
}

std::string order_description() {
  return fmt::format("seed {}, launch {}", settings().seed, launches.load());
}

void set_builtins(uint3 thread, uint3 block, dim3 block_dim, dim3 grid_dim) {
  threadIdx = thread;
  blockIdx = block;
  blockDim = block_dim;
  gridDim = grid_dim;
}

void* grid_start_tag() {
  return &start_tag;
}
void* grid_end_tag() {
  return &end_tag;
}

void check_limits(const Grid& grid) {
  const auto threads = uint64_t{grid.block.x} * grid.block.y * grid.block.z;
  check<DeviceError>(threads > 0 && threads <= max_threads_per_block,
                     "[{}] threads per block: got {} ({}, {}, {}), wanted 1 to {}", grid.name,
                     threads, grid.block.x, grid.block.y, grid.block.z, max_threads_per_block);
  check<DeviceError>(grid.block.z <= max_block_z,
                     "[{}] threads per block: got ({}, {}, {}), wanted at most {} along z",
                     grid.name, grid.block.x, grid.block.y, grid.block.z, max_block_z);
  check<DeviceError>(grid.dynamic_shared <= max_shared_bytes,
                     "[{}] shared memory: the block asks for {} bytes, the limit is {}", grid.name,
                     grid.dynamic_shared, max_shared_bytes);
  check<DeviceError>(grid.grid.x <= 0x7FFFFFFF && grid.grid.y <= 65535 && grid.grid.z <= 65535,
                     "[{}] grid: got ({}, {}, {}), wanted at most (2147483647, 65535, 65535)",
                     grid.name, grid.grid.x, grid.grid.y, grid.grid.z);
}

void run_grid(const Grid& grid, const std::function<void()>& thread_body) {
  check_limits(grid);
  check<KernelError>(current_block() == nullptr, "[{}] launched from within a kernel", grid.name);
  if (uint64_t{grid.grid.x} * grid.grid.y * grid.grid.z == 0) {
    return;
  }
  ++launches;
  GridRun run(grid, thread_body);
  run.run();
  if (!run.error.empty()) {
    throw KernelError(run.error);
  }
}

}  // namespace warptape::simt
