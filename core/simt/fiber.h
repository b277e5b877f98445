#pragma once
// A fiber: a function on a stack of its own that can be left in the middle and resumed. On x86-64 a
// switch is a dozen instructions; elsewhere ucontext does it.

#include <cstddef>

#include "core/simt/sanitizers.h"

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace warptape::simt {

// Where a stack of execution was left. The scheduler's own context is one without a Fiber.
struct Context {
#if defined(__x86_64__)
  void* stack_pointer = nullptr;
#else
  ucontext_t machine{};
#endif
  const void* stack_bottom = nullptr;  // for AddressSanitizer; of the scheduler, learnt on entry
  size_t stack_bytes = 0;
  void* fake_stack = nullptr;
  TsanFiber tsan = nullptr;
};

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
  bool owns(const void* address) const;

 private:
  static void start(Fiber* self);
#if !defined(__x86_64__)
  static void start_split(unsigned high, unsigned low);
#endif

  Context context_;
  Entry entry_ = nullptr;
  void* argument_ = nullptr;
};

}  // namespace warptape::simt
