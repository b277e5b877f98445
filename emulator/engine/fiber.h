#pragma once
// A fiber: a function on a stack of its own that can be left in the middle and resumed. On x86-64 a
// switch is a dozen instructions; elsewhere, and where WARPTAPE_SIMT_UCONTEXT is defined, ucontext
// does it.

#include <cstddef>

#include "emulator/engine/sanitizers.h"

#if !defined(__x86_64__) && !defined(WARPTAPE_SIMT_UCONTEXT)
#define WARPTAPE_SIMT_UCONTEXT 1
#endif
#ifdef WARPTAPE_SIMT_UCONTEXT
#include <ucontext.h>
#endif

namespace warptape::simt {

// Where a stack of execution was left. The scheduler's own context is one without a Fiber.
struct Context {
#ifdef WARPTAPE_SIMT_UCONTEXT
  ucontext_t machine{};
#else
  void* stack_pointer = nullptr;
#endif
  const void* stack_bottom = nullptr;  // for AddressSanitizer
  size_t stack_bytes = 0;
  void* fake_stack = nullptr;
  TsanFiber tsan = nullptr;
};

// Makes `context` that of the calling OS thread, outside of any fiber.
void adopt_os_thread(Context& context);

// Leaves `from` where it stands and resumes `to`; returns when somebody switches back.
void switch_context(Context& from, Context& to);

class Fiber {
 public:
  using Entry = void (*)(void* argument);

  // stack: memory of the caller's, which must outlive the fiber.
  Fiber(void* stack, size_t stack_bytes);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Prepares the fiber so that the next switch to it calls entry(argument), which must never
  // return: it ends by switching away for good. Whatever ran on this fiber before is forgotten.
  void prepare(Entry entry, void* argument);
  Context& context() { return context_; }

 private:
  static void start(Fiber* self);
#ifdef WARPTAPE_SIMT_UCONTEXT
  static void start_split(unsigned high, unsigned low);
#endif

  Context context_;
  Entry entry_ = nullptr;
  void* argument_ = nullptr;
};

}  // namespace warptape::simt
