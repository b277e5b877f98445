#pragma once
#include "training/profile/step_profile.h"

namespace warptape::tools {

// What this machine does at most, measured in a tenth of a second: a plain copy of more than caches
// hold, and multiplications with additions in registers, of float32, or, on a GPU, of bfloat16 on
// the tensor cores where is_bfloat16. On the emulated device the sizes are tiny.
profiling::Ceilings measure_ceilings(Device device, bool is_bfloat16);
profiling::Ceilings measure_ceilings_cuda(bool is_bfloat16);

}  // namespace warptape::tools
