#pragma once
// Small kernels whose memory behaviour is known from theory: slow ones and their good twins. Each
// runs once on the engine and gives its profile; their buffers count as device memory.

#include "emulator/profile/profile.h"

namespace warptape::planted {

using simt::profile::KernelProfile;

// Transpose of 128 x 128 floats, row-major.
KernelProfile transpose_naive();     // lanes of a warp write 512 bytes apart
KernelProfile transpose_unpadded();  // through a tile of 32 x 32, read by columns
KernelProfile transpose_padded();    // through a tile of 32 x 33

// Sums of 128 rows of 64 floats.
KernelProfile row_per_thread();
KernelProfile row_per_warp();

// A copy of 4096 floats.
KernelProfile copy_by_4();
KernelProfile copy_by_16();
KernelProfile copy_by_one_lane();  // one lane of each warp does all of it, 4 bytes at a time
KernelProfile copy_shifted();      // from an address 4 bytes behind a sector's begin
KernelProfile copy_async();        // by cp_async16 through shared memory

// 16 bytes per lane to and from shared memory, without conflicts.
KernelProfile shared_by_16();
// All 256 threads read one float, and add to one counter.
KernelProfile broadcast_and_count();
// Lanes run the loop a different number of times: lane i reads i + 1 floats.
KernelProfile uneven_loop();

}  // namespace warptape::planted
