#pragma once
// oneDNN as the CPU's accelerator in float32. Code that names oneDNN lives in *_onednn.cpp, which a
// build without it replaces by kernels/vendor/onednn_absent.cpp.

#include <string>

namespace warptape {

bool onednn_is_built_in();
std::string onednn_version();          // "3.2.0"; empty without it
std::string onednn_instruction_set();  // the one in use, "AVX512_CORE"; empty without it

// Whether ops ask oneDNN first (the default where it is built in). Off, the loops serve: tests
// compare.
bool onednn_is_used();
void set_onednn_used(bool on);

}  // namespace warptape
