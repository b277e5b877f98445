// Planted overruns, each exact by one element, and what a kernel does to memory that is not its
// own. Under AddressSanitizer each ends the program with a report; without it the engine sees
// writes close to shared memory.

#include <signal.h>
#include <sys/resource.h>

#include <functional>
#include <memory>
#include <string>

#include "tests/emulator/engine/run_kernel.h"

namespace warptape::simt {
namespace {

// The report that AddressSanitizer gives, behind the engine's line.
void expect_report(const std::function<void()>& run, const std::string& fault) {
  EXPECT_DEATH(run(), "in kernel planted, block \\(0, 0, 0\\), thread \\(3, 0, 0\\).*" + fault);
}

// `excess`: elements beyond the end (or, negative, before the start).
__global__ void write_static(int excess, float* out) {
  WARPTAPE_SHARED(float, memory, [30]);
  float* start = memory;  // of an array, UBSan would see the index
  int place = static_cast<int>(threadIdx.x);
  if (threadIdx.x == 3 && excess != 0) {
    place = excess > 0 ? 29 + excess : excess;
  }
  start[place] = 1;
  out[threadIdx.x] = 1;
}

__global__ void write_dynamic(int excess, float* out) {
  auto* memory = dynamic_shared<float>();
  int place = static_cast<int>(threadIdx.x);
  if (threadIdx.x == 3 && excess != 0) {
    place = excess > 0 ? 29 + excess : excess;
  }
  memory[place] = 1;
  out[threadIdx.x] = 1;
}

// The pack at the end reaches beyond it by one element, 16-byte aligned.
__global__ void write_pack(bool dynamic, bool overrun, float* out) {
  WARPTAPE_SHARED(float, fixed, [31]);
  float* memory = dynamic ? dynamic_shared<float>() : fixed;
  const int pack = threadIdx.x == 3 && overrun ? 7 : static_cast<int>(threadIdx.x);
  store16(memory + 4 * pack, Pack16<float>{});
  out[threadIdx.x] = 1;
}

void expect_overrun(const std::function<void()>& run, const std::string& message) {
  if (under_asan) {
    expect_report(run, "AddressSanitizer: heap-buffer-overflow");
    return;
  }
  try {
    run();
    ADD_FAILURE() << "the overrun was not seen";
  } catch (const KernelError& error) {
    expect_parts(error.what(), {"[planted] shared memory: written ", message});
  }
}

constexpr Grid planted(size_t dynamic_shared = 0) {
  return {.grid = 1, .block = 5, .dynamic_shared = dynamic_shared, .name = "planted"};
}

TEST(Overrun, StaticSharedMemory) {
  float out[5];
  run_kernel(planted(), write_static, 0, &out[0]);
  expect_overrun([&] { run_kernel(planted(), write_static, 1, &out[0]); },
                 "behind the end of a static variable of 120 bytes");
  expect_overrun([&] { run_kernel(planted(), write_static, -1, &out[0]); },
                 "before the start of a static variable of 120 bytes");
}

TEST(Overrun, DynamicSharedMemory) {
  float out[5];
  run_kernel(planted(120), write_dynamic, 0, &out[0]);
  expect_overrun([&] { run_kernel(planted(120), write_dynamic, 1, &out[0]); },
                 "behind the end of a dynamic variable of 120 bytes");
  expect_overrun([&] { run_kernel(planted(120), write_dynamic, -1, &out[0]); },
                 "before the start of a dynamic variable of 120 bytes");
}

TEST(Overrun, SharedMemoryBySixteenBytes) {
  float out[5];
  for (bool dynamic : {false, true}) {
    run_kernel(planted(124), write_pack, dynamic, false, &out[0]);
    expect_overrun([&] { run_kernel(planted(124), write_pack, dynamic, true, &out[0]); },
                   dynamic ? "behind the end of a dynamic variable of 124 bytes"
                           : "behind the end of a static variable of 124 bytes");
  }
}

// Device memory has its own guards (tests/core/device); here it is host memory, which
// AddressSanitizer alone knows.
__global__ void copy_elements(const float* in, float* out, unsigned excess) {
  const unsigned i = threadIdx.x + (threadIdx.x == 3 ? excess : 0);
  out[i] = in[i];
}
__global__ void copy_packs(const float* in, float* out, unsigned excess) {
  const unsigned i = 4 * (threadIdx.x + (threadIdx.x == 3 ? excess : 0));
  store16(out + i, load16(in + i));
}

TEST(Overrun, GlobalMemory) {
  const auto in = std::make_unique<Pack16<float>[]>(6);
  const std::unique_ptr<float[]> out(new float[20]);
  const float* from = in[0].values;
  run_kernel(planted(), copy_elements, from, out.get(), 0u);
  run_kernel(planted(), copy_packs, from, out.get(), 0u);
  if (under_asan) {
    const std::string fault = "AddressSanitizer: heap-buffer-overflow";
    expect_report([&] { run_kernel(planted(), copy_elements, from, out.get(), 17u); }, fault);
    expect_report([&] { run_kernel(planted(), copy_packs, from, out.get(), 2u); }, fault);
  }
}

// As CUDA programs often read: the engine's own check sees load16 only, UBSan sees this.
__global__ void load_float4(const float* in, float* out, unsigned excess) {
  const float* from = in + (threadIdx.x == 3 ? excess : 0);
  out[threadIdx.x] = reinterpret_cast<const float4*>(from)->x;
}

TEST(Overrun, MisalignedFloat4) {
  const auto in = std::make_unique<Pack16<float>[]>(2);
  float out[5];
  const float* from = in[0].values;
  run_kernel(planted(), load_float4, from, &out[0], 0u);
  if (under_asan) {
    expect_report([&] { run_kernel(planted(), load_float4, from, &out[0], 1u); },
                  "misaligned address");
  }
}

// Frames of 4 KB until the stack is used up.
__attribute__((noinline)) int recurse(int depth) {
  volatile char frame[4096];
  frame[0] = static_cast<char>(depth);
  return depth == 0 ? 0 : recurse(depth - 1) + frame[0];
}
__global__ void use_stack(int depth, int* out) {
  out[threadIdx.x] = recurse(threadIdx.x == 3 ? depth : 3);
}

void without_core_file(const std::function<void()>& run) {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  run();
}

TEST(Overrun, OfTheStack) {
  int out[5];
  const auto run = [&](int depth) { run_kernel(planted(), use_stack, depth, &out[0]); };
  run(20);
  EXPECT_DEATH(without_core_file([&] { run(1 << 20); }),
               "stack overflow in kernel planted, block \\(0, 0, 0\\), thread \\(3, 0, 0\\)");
}

// A fault that is no overflow goes on to whoever handled it before, unchanged.
__global__ void read_null(const int* nowhere, int* out) {
  *out = nowhere[threadIdx.x];
}

TEST(Overrun, OtherFaultsAreNotExplained) {
  int out = 0;
  const auto run = [&] {
    run_kernel(planted(), read_null, static_cast<const int*>(nullptr), &out);
  };
  if (under_asan) {
    EXPECT_DEATH(without_core_file(run), "in kernel planted.*SEGV");
  } else if (under_tsan) {
    EXPECT_DEATH(without_core_file(run), "");
  } else {
    EXPECT_EXIT(without_core_file(run), testing::KilledBySignal(SIGSEGV), "^$");
  }
}

}  // namespace
}  // namespace warptape::simt
