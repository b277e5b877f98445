#pragma once
// What the halves of the device "cuda" and what they share (core/device/gpu/) ask of each other
// beyond gpu.h. Internal to core/device.

#include "core/device/gpu.h"

namespace warptape::gpu::parts {

// Each half has these. Waiting without a look at the report word:
void wait_for(StreamHandle stream);
void wait_for_all();

// A word of zeros that kernels of all streams can write; possible during capture. And what it holds
// after a synchronisation; taking clears it.
ErrorReport* make_report_word();
ErrorReport take_report(ErrorReport* word);

// arrivals.h's, all of them.
unsigned long long* arrival_counters(StreamHandle stream);

// False once the Stream was destroyed.
bool is_live(StreamHandle stream);

// Shared. With WARPTAPE_SYNC=1 each launch outside captures is synchronised, so that a fault is
// raised by the launch that caused it.
void finish_launch(StreamHandle stream);

// Clears the report word.
void discard_report();

// The stream of threads outside any StreamScope.
StreamHandle shared_stream();

}  // namespace warptape::gpu::parts
