#include "emulator/engine/faults.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <memory>

#include "emulator/engine/state.h"
#include "emulator/engine/vocabulary_host.h"

namespace warptape::simt {
namespace {

// By the bare system call: a sanitizer that reports must not be entered again.
void print(const char* text) {
  [[maybe_unused]] const long written =
      ::syscall(SYS_write, STDERR_FILENO, text, std::strlen(text));
}

void print_where() {
  const char* place = where();
  if (*place != '\0') {
    print(place);
    print(":\n");
  }
}

struct sigaction previous_action;

// Restores what was there and returns: the fault repeats and is theirs.
void on_fault(int signal, siginfo_t* info, void*) {
  ::sigaction(signal, &previous_action, nullptr);
  const BlockRunner* block = current_block();
  if (block != nullptr && block->overflowed_stack(info->si_addr)) {
    print("stack overflow ");
    print_where();
  }
}

bool handle_faults() {
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  return ::sigaction(SIGSEGV, &action, &previous_action) == 0;
}

// Where the handler runs when the stack is used up, one for each OS thread.
class SignalStack {
 public:
  SignalStack() {
    stack_t present{};
    ::sigaltstack(nullptr, &present);
    if ((present.ss_flags & SS_DISABLE) != 0) {
      memory_ = std::make_unique<std::array<char, bytes>>();
      stack_t own{};
      own.ss_sp = memory_->data();
      own.ss_size = bytes;
      ::sigaltstack(&own, nullptr);
    }
  }
  ~SignalStack() {
    if (memory_ != nullptr) {
      stack_t none{};
      none.ss_flags = SS_DISABLE;
      ::sigaltstack(&none, nullptr);
    }
  }
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;

 private:
  static constexpr size_t bytes = 64 << 10;
  std::unique_ptr<std::array<char, bytes>> memory_;
};

}  // namespace

void explain_faults() {
  static const thread_local SignalStack stack;
  static const bool handled = handle_faults();
  static_cast<void>(handled);
}

const char* where() {
  static thread_local char text[256];
  const BlockRunner* block = current_block();
  if (block == nullptr) {
    return "";
  }
  const TsanForgets forget;  // the text is all threads'
  std::snprintf(text, sizeof text, "in kernel %s, block (%u, %u, %u), thread (%u, %u, %u)",
                block->grid().name, blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y,
                threadIdx.z);
  return text;
}

}  // namespace warptape::simt

// The sanitizers call these before they print a report.
extern "C" void __asan_on_error() {
  warptape::simt::print_where();
}
extern "C" void __ubsan_on_report() {
  warptape::simt::print_where();
}
namespace __tsan {
class ReportDesc;
bool OnReport(const ReportDesc*, bool suppressed) {
  if (!suppressed) {
    warptape::simt::print_where();
  }
  return suppressed;
}
}  // namespace __tsan
