#pragma once
// SIGINT, SIGTERM and SIGHUP, which end the program: at once, or in order.

namespace warptape::tools {

// From now on these signals reach a thread of their own and interrupt no other. A handler must not:
// in its matrix products oneDNN before 3.11.2 keeps the stack pointer on the heap, and the frame of
// a handler there overwrites what lies below. main calls it before there are further threads.
void receive_end_signals();

// The first of these signals that comes from now on is noted; the next one ends the program.
void end_in_order();

// The signal that was noted, or 0.
int end_signal();

}  // namespace warptape::tools
