#pragma once
// oneDNN as the CPU's accelerator in float32 and, where the processor has instructions for it, in
// bfloat16. Code that names oneDNN lives in *_onednn.cpp, which a build without it replaces by
// kernels/vendor/onednn_absent.cpp.

#include <string>

#include "core/dtype.h"

namespace warptape {

bool onednn_is_built_in();
std::string onednn_version();          // "3.2.0"; empty without it
std::string onednn_instruction_set();  // the one in use, "AVX512_CORE"; empty without it

// Whether ops ask oneDNN first (the default where it is built in). Off, the loops serve: tests
// compare.
bool onednn_is_used();
void set_onednn_used(bool on);

// Whether it computes in this dtype here: bfloat16 wants AVX-512 with bfloat16, or AMX. What it
// does not, float32 copies do.
bool onednn_takes(DType dtype);

}  // namespace warptape
