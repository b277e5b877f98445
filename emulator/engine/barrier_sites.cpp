// Runs on the kernel's threads, where ThreadSanitizer watches: no containers, whose functions the
// linker may take from a file that it has instrumented, and no mutex, which would order threads.

#include "emulator/engine/barrier_sites.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "emulator/engine/engine.h"

namespace warptape::simt {
namespace {

// "reduce.cuh:12" names line 12 of kernels/reduce/reduce.cuh, not of block_reduce.cuh.
bool names(const char* name, const char* file, int line) {
  const char* colon = std::strrchr(name, ':');
  if (colon == nullptr || std::atoi(colon + 1) != line) {
    return false;
  }
  const auto length = static_cast<size_t>(colon - name);
  const size_t total = std::strlen(file);
  return total >= length && std::memcmp(file + total - length, name, length) == 0 &&
         (total == length || file[total - length - 1] == '/');
}

struct Site {
  const char* file;
  int line;
  Site* next;
};

// Appends a site to the file at `path`, once.
void record(const char* file, int line, const char* path) {
  static constinit std::atomic_flag busy;
  static constinit Site* recorded = nullptr;  // never freed, as kernels may run late
  while (busy.test_and_set(std::memory_order_acquire)) {
  }
  const Site* found = recorded;
  while (found != nullptr && (found->line != line || std::strcmp(found->file, file) != 0)) {
    found = found->next;
  }
  if (found == nullptr) {
    recorded = new Site{file, line, recorded};
    if (std::FILE* out = std::fopen(path, "a")) {
      std::fprintf(out, "%s:%d\n", file, line);
      std::fclose(out);
    }
  }
  busy.clear(std::memory_order_release);
}

}  // namespace

bool skips_barrier(const char* file, int line) {
  const Settings& wanted = settings();
  if (!wanted.barrier_record.empty()) {
    record(file, line, wanted.barrier_record.c_str());
  }
  return !wanted.deleted_barrier.empty() && names(wanted.deleted_barrier.c_str(), file, line);
}

}  // namespace warptape::simt
