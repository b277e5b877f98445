#include "emulator/engine/fiber.h"

#include <pthread.h>

#include <cstdint>

#ifndef WARPTAPE_SIMT_UCONTEXT
// warptape_switch(void** save, void* load): pushes what the calling convention lets a function
// keep, stores the stack pointer, takes the other one, and returns there.
asm(R"(
.text
.globl warptape_switch
.hidden warptape_switch
.type warptape_switch,@function
warptape_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  retq
.size warptape_switch,.-warptape_switch

.globl warptape_fiber_start
.hidden warptape_fiber_start
.type warptape_fiber_start,@function
warptape_fiber_start:
  movq %rbx, %rdi
  xorl %ebp, %ebp
  callq *%r12
  ud2
.size warptape_fiber_start,.-warptape_fiber_start
)");
extern "C" void warptape_switch(void** save, void* load);
extern "C" void warptape_fiber_start();
#endif

namespace warptape::simt {
namespace {

#ifdef WARPTAPE_ASAN
struct StackBounds {
  void* bottom = nullptr;
  size_t bytes = 0;

  StackBounds() {
    pthread_attr_t attributes;
    if (::pthread_getattr_np(::pthread_self(), &attributes) == 0) {
      ::pthread_attr_getstack(&attributes, &bottom, &bytes);
      ::pthread_attr_destroy(&attributes);
    }
  }
};
#endif

}  // namespace

void adopt_os_thread(Context& context) {
#ifdef WARPTAPE_ASAN
  static thread_local const StackBounds bounds;
  context.stack_bottom = bounds.bottom;
  context.stack_bytes = bounds.bytes;
#endif
  context.tsan = tsan_current_fiber();
}

void switch_context(Context& from, Context& to) {
  asan_start_switch(&from.fake_stack, to.stack_bottom, to.stack_bytes);
  tsan_switch_to(to.tsan);
#ifdef WARPTAPE_SIMT_UCONTEXT
  ::swapcontext(&from.machine, &to.machine);
#else
  warptape_switch(&from.stack_pointer, to.stack_pointer);
#endif
  asan_finish_switch(from.fake_stack, nullptr, nullptr);
}

Fiber::Fiber(void* stack, size_t stack_bytes) {
  context_.stack_bottom = stack;
  context_.stack_bytes = stack_bytes;
  context_.tsan = tsan_create_fiber();
}

Fiber::~Fiber() {
  tsan_destroy_fiber(context_.tsan);
}

void Fiber::start(Fiber* self) {
  asan_finish_switch(nullptr, nullptr, nullptr);
  self->entry_(self->argument_);
}

#ifndef WARPTAPE_SIMT_UCONTEXT
void Fiber::prepare(Entry entry, void* argument) {
  entry_ = entry;
  argument_ = argument;
  // A fiber that was abandoned in the middle leaves its frames' red zones behind.
  asan_unpoison(context_.stack_bottom, context_.stack_bytes);
  auto top = reinterpret_cast<uintptr_t>(context_.stack_bottom) + context_.stack_bytes;
  top &= ~uintptr_t{15};
  // As warptape_switch leaves it: six registers and the address to return to. The function there
  // finds `this` in rbx and start() in r12, and the stack aligned as at a call.
  auto** slot = reinterpret_cast<void**>(top);
  *--slot = nullptr;  // keeps the alignment; the end of the stack for debuggers
  *--slot = nullptr;
  *--slot = reinterpret_cast<void*>(&warptape_fiber_start);
  *--slot = nullptr;                                 // rbp
  *--slot = this;                                    // rbx
  *--slot = reinterpret_cast<void*>(&Fiber::start);  // r12
  *--slot = nullptr;                                 // r13
  *--slot = nullptr;                                 // r14
  *--slot = nullptr;                                 // r15
  context_.stack_pointer = slot;
}
#else
void Fiber::start_split(unsigned high, unsigned low) {
  start(reinterpret_cast<Fiber*>((uintptr_t{high} << 32) | low));
}

void Fiber::prepare(Entry entry, void* argument) {
  entry_ = entry;
  argument_ = argument;
  asan_unpoison(context_.stack_bottom, context_.stack_bytes);
  ::getcontext(&context_.machine);
  context_.machine.uc_stack.ss_sp = const_cast<void*>(context_.stack_bottom);
  context_.machine.uc_stack.ss_size = context_.stack_bytes;
  context_.machine.uc_link = nullptr;
  const auto self = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(this));
  ::makecontext(&context_.machine, reinterpret_cast<void (*)()>(&Fiber::start_split), 2,
                static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
}
#endif

}  // namespace warptape::simt
