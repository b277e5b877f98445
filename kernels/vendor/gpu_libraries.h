#pragma once
// cuBLASLt and cuDNN as accelerators of device "cuda", beside our own kernels. Code that names them
// lives in *_cublas.cpp and *_cudnn.cpp, which a build without them replaces by
// kernels/vendor/cublas_absent.cpp and cudnn_absent.cpp. They are never linked but loaded at first
// use, so that a program starts on machines that lack them; there our kernels serve.

#include <cstdint>
#include <string>

namespace warptape {

struct GpuLibrary {
  std::string version;  // "13.1.0"; empty where it is not built in or cannot be loaded
  std::string reason;   // why it cannot serve; empty where it can
};

// Both load the library if that was not tried yet.
const GpuLibrary& cublas_library();
const GpuLibrary& cudnn_library();

// Where these libraries serve: where the table of measurements says that they are faster
// (kernels/vendor/choice.h), wherever they can, or nowhere. As WARPTAPE_GPU_LIBRARIES=auto|on|off
// in the environment says, else Auto (empty counts as unset; any other value is a ValueError).
enum class GpuLibraries { Auto, On, Off };
GpuLibraries gpu_libraries();
void set_gpu_libraries(GpuLibraries mode);
const char* name_of(GpuLibraries mode);  // "auto"
GpuLibraries parse_gpu_libraries(const std::string& what, const std::string& text);

// How often this process has asked the libraries for a product, whether they are there or not: for
// tests.
int64_t gpu_library_calls();
void count_gpu_library_call();

// Whether float32 products on a GPU may round their factors to TF32 (10 bits of mantissa, not 23),
// which the tensor cores multiply many times faster. Off by default. Our kernels do so wherever
// operands can be loaded by packs of 16 bytes, and multiply the others as they are.
bool tf32_is_on();
void set_tf32(bool on);

}  // namespace warptape
