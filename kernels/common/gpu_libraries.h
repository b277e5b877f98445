#pragma once
// cuBLASLt and cuDNN as accelerators of device "cuda", beside our own kernels. Code that names them
// lives in *_cublas.cpp and *_cudnn.cpp, which a build without them replaces by
// kernels/common/cublas_absent.cpp and cudnn_absent.cpp. They are never linked but loaded at first
// use, so that a program starts on machines that lack them; there our kernels serve.

#include <string>

namespace warptape {

struct GpuLibrary {
  std::string version;  // "13.1.0"; empty where it is not built in or cannot be loaded
  std::string reason;   // why it cannot serve; empty where it can
};

// Both load the library if that was not tried yet.
const GpuLibrary& cublas_library();
const GpuLibrary& cudnn_library();

// Whether ops ask these libraries first: on, unless WARPTAPE_GPU_LIBRARIES=off in the environment
// (empty counts as unset; any other value than on is a ValueError). Off, our kernels serve: tests
// compare.
bool gpu_libraries_are_on();
void set_gpu_libraries(bool on);

// Whether float32 products may round their factors to TF32 (10 bits of mantissa, not 23), which the
// tensor cores multiply many times faster. Off by default. Our kernels never do.
bool tf32_is_on();
void set_tf32(bool on);

}  // namespace warptape
