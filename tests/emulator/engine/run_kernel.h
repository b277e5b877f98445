#pragma once
// Runs kernels on the engine, on host memory, for the tests of this folder.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"
#include "core/simt/simt.h"
#include "emulator/engine/engine.h"

namespace warptape::simt {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool under_asan = true;
#else
inline constexpr bool under_asan = false;
#endif
#if defined(__SANITIZE_THREAD__)
inline constexpr bool under_tsan = true;
#else
inline constexpr bool under_tsan = false;
#endif

template <class... Parameters, class... Arguments>
void run_kernel(const Grid& grid, void (*kernel)(Parameters...), Arguments... arguments) {
  run_grid(grid, [=] { kernel(arguments...); });
}

// The message of the error that the kernel ends in or is refused with, "" if there is none.
template <class... Parameters, class... Arguments>
std::string kernel_error(const Grid& grid, void (*kernel)(Parameters...), Arguments... arguments) {
  try {
    run_kernel(grid, kernel, arguments...);
  } catch (const DeviceError& error) {
    return error.what();
  }
  return "";
}

inline void expect_parts(const std::string& message, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
  }
}

// Settings of the engine while it lives.
struct SettingsGuard {
  SettingsGuard() : before(settings()) {}
  ~SettingsGuard() { settings() = before; }
  SettingsGuard(const SettingsGuard&) = delete;
  SettingsGuard& operator=(const SettingsGuard&) = delete;
  Settings before;
};

// Calls body() under seeds 0 (ascending orders) to `count`.
template <class Body>
void for_each_seed(uint64_t count, const Body& body) {
  const SettingsGuard guard;
  for (uint64_t seed = 0; seed <= count; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    restart_orders(seed);
    body();
  }
}

// run() launches a kernel and says whether its result is right.
template <class Run>
void expect_always_right(const Run& run) {
  for_each_seed(20, [&] { EXPECT_TRUE(run()); });
}

// A kernel with a race: ThreadSanitizer reports it whatever the order, and ends the program.
// Without it, some order gives a wrong result.
template <class Run>
void expect_race(const Run& run) {
  if (under_tsan) {
    EXPECT_EXIT(run(), testing::ExitedWithCode(66), "in kernel .*data race");
    return;
  }
  int wrong = 0;
  for_each_seed(50, [&] { wrong += run() ? 0 : 1; });
  EXPECT_GT(wrong, 0) << "no order showed the race";
}

}  // namespace warptape::simt
