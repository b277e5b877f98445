#pragma once
// How often the host asks for memory of its own: each call of operator new is a hundred
// instructions or more, and the code between launches should hardly need any.

#include <cstdint>

namespace warptape {

// False under sanitizers, whose operator new is their own: then nothing is counted.
bool counts_heap_allocations();

// Calls of operator new by this thread so far, those of the emulated device left out, which other
// builds do not have.
uint64_t heap_allocations();

}  // namespace warptape
