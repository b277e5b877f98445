#pragma once
// What the compiler's calls (tsan_hooks.cpp) end in.

#include "emulator/profile/profile.h"

namespace warptape::simt::profile {

// One access by whatever the calling OS thread runs; ignored unless that is a kernel's thread and a
// profile is being taken. pc: where the instruction returns to.
void access(const void* address, unsigned bytes, Access access, const void* pc);

// The same of a call that was not inlined.
void enter_function(const void* caller);
void leave_function();

}  // namespace warptape::simt::profile
