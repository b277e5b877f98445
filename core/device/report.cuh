#pragma once
// How a kernel reports what it cannot raise (gpu::report_word()).

#include "core/device/gpu.h"
#include "core/simt/build.h"
#include "core/simt/simt.h"

namespace warptape {

// The first report of a launch, or of several, is kept: all come from one fault mostly.
__device__ inline void report_fault(gpu::ErrorReport* report, int code, int64_t index,
                                    int64_t value) {
  if (atomicCAS(&report->filled, 0, 1) == 0) {
    report->index = index;
    report->value = value;
#ifndef WARPTAPE_SIMT
    __threadfence_system();  // the host may look while kernels run: it sees the code last
#endif
    report->code = code;
  }
}

}  // namespace warptape
