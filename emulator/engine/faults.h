#pragma once
// What a kernel's faults say beyond what the operating system and the sanitizers know: kernel,
// block and thread. Internal to the engine.

namespace warptape::simt {

// From now on an overflow of a kernel thread's stack on the calling OS thread is explained on
// standard error. All faults go on to whoever handled SIGSEGV before.
void explain_faults();

}  // namespace warptape::simt
