#pragma once
// The barriers of kernels, known by file and line: deleting one of them at run time and recording
// which were executed (tools/mutate_barriers.sh). Internal to the engine.

namespace warptape::simt {

// Whether the settings delete the barrier at this line. Records it if they ask for that.
bool skips_barrier(const char* file, int line);

}  // namespace warptape::simt
