#pragma once
// What the *_onednn.cpp files share. Included by them alone.

#include <dnnl.hpp>

namespace warptape {

dnnl::engine& onednn_engine();
dnnl::stream& onednn_stream();  // of this thread

// An implementation of oneDNN's last resort: many times slower than our own loops.
bool is_reference_implementation(const char* info);

}  // namespace warptape
