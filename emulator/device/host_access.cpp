// A touch of device memory by the host, or by a kernel that was not given it, would be an
// unexplained segmentation fault: this explains it.

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "emulator/device/arena.h"
#include "emulator/engine/engine.h"

namespace warptape::gpu::emulated {
namespace {

const Arena* arena = nullptr;
struct sigaction previous;

bool was_write([[maybe_unused]] const void* context) {
#ifdef __x86_64__
  constexpr greg_t write_bit = 2;  // of the processor's page fault code
  const auto& registers = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs;
  return (registers[REG_ERR] & write_bit) != 0;
#else
  return false;
#endif
}

// Looks without a lock: the program is about to end, and another thread may hold it.
void explain(const void* address, const void* context) {
  char text[512];
  const char* place = simt::where();
  const Block* block = arena->contains(address) ? arena->find(address) : nullptr;
  const char* done = was_write(context) ? "written" : "read";
  if (*place != '\0' && block != nullptr) {
    std::snprintf(text, sizeof text,
                  "[emulated device] device memory (%p, in an allocation of %zu bytes) was %s %s, "
                  "for which no argument of the kernel has a pointer%s: is one missing in a "
                  "for_each_pointer?\n",
                  address, block->bytes, done, place,
                  was_write(context) ? " that is not const" : "");
  } else if (*place != '\0') {
    std::snprintf(text, sizeof text, "[emulated device] segmentation fault at %p %s\n", address,
                  place);
  } else if (arena->contains(address)) {
    std::snprintf(text, sizeof text,
                  "[emulated device] device memory (%p, in an allocation of %zu bytes) was %s by "
                  "the host: copy it with gpu::copy_%s_host or Tensor::to\n",
                  address, block == nullptr ? size_t{0} : block->bytes, done,
                  was_write(context) ? "from" : "to");
  } else {
    return;
  }
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text, std::strlen(text));
}

void on_fault(int signal, siginfo_t* info, void* context) {
  ::sigaction(signal, &previous, nullptr);  // the fault repeats at once and is theirs then
  explain(info->si_addr, context);
}

}  // namespace

void explain_host_accesses(const Arena& arena_of_device) {
  arena = &arena_of_device;
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigaction(SIGSEGV, &action, &previous);
}

}  // namespace warptape::gpu::emulated
